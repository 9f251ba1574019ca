/* SPDX-License-Identifier: Apache-2.0 */
#include "i2c_sysfs.h"

#include <anyhv/devices/i2c_host.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PATH_LEN 512

/* The file "name" of an adapter's folder. */
static bool read_name(const char *folder, const char *entry, char *name, size_t size)
{
    char path[PATH_LEN];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s/name", folder, entry);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (!fgets(name, (int)size, f))
        name[0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    fclose(f);
    return true;
}

const char *anyhv_i2c_linux_find(const char *folder, const char *name, char *path, size_t size)
{
    DIR *dir = opendir(folder);
    unsigned found = 0;
    struct dirent *entry;

    if (!dir)
        return "there are no adapters (is the module i2c-dev loaded?)";
    while ((entry = readdir(dir))) {
        char other[128];

        if (entry->d_name[0] == '.' || !read_name(folder, entry->d_name, other, sizeof(other)) ||
            strcmp(other, name) != 0)
            continue;
        snprintf(path, size, "/dev/%s", entry->d_name);
        found++;
    }
    closedir(dir);
    if (found > 1)
        return "several adapters have this name";
    return found ? NULL : "no adapter has this name";
}

/* Cuts "/i2c-N/i2c-dev/i2c-N" from the end of @link: what is in front of it does not depend on N.
 */
static void cut_number(char *link)
{
    for (unsigned i = 0; i < 3; i++) {
        char *slash = strrchr(link, '/');

        if (slash)
            *slash = '\0';
    }
}

bool anyhv_i2c_sysfs_identify(const char *folder, dev_t dev, struct i2c_identity *who)
{
    char entry[32], path[PATH_LEN];

    *who = (struct i2c_identity){0};
    snprintf(entry, sizeof(entry), "%u:%u", major(dev), minor(dev));
    snprintf(path, sizeof(path), "%s/%s", folder, entry);
    if (!read_name(folder, entry, who->name, sizeof(who->name)) ||
        readlink(path, who->place, sizeof(who->place) - 1) < 0) {
        *who = (struct i2c_identity){0};
        return false;
    }
    cut_number(who->place);
    return true;
}
