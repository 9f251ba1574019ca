/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <anyhv/linux/state_file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct anyhv_device_ops two_queues = {
    .name = "two", .id = 9, .queues = 2, .max_size = 64, .config_len = 12};
static const struct anyhv_device_ops three_queues = {
    .name = "three", .id = 9, .queues = 3, .max_size = 64, .config_len = 12};

static char dir[64], path[96];
static size_t keep_size; /* of what has two queues */

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/anyhv-state.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/device", dir);
    keep_size = anyhv_keep_size(&two_queues);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    return rmdir(dir);
}

static int open_file(struct anyhv_state_file *file, const char *owner)
{
    return anyhv_state_file_open(file, path, owner, 8, &two_queues);
}

static void fresh_is_zero(void **state)
{
    struct anyhv_state_file file;
    struct anyhv_attach how = {0};
    struct stat st;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    assert_false(file.resume);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(((uint8_t *)file.note)[i], 0);
    for (size_t i = 0; i < keep_size; i++)
        assert_int_equal(((uint8_t *)file.area)[i], 0);
    anyhv_state_file_use(&file, &how);
    assert_ptr_equal(how.state, file.area);
    assert_true(how.state_size >= ANYHV_STATE_SIZE(2, 12));
    assert_int_equal(how.journal_size, ANYHV_JOURNAL_SIZE(2, 64));
    assert_int_equal((uintptr_t)how.state % 8, 0);
    assert_int_equal((uintptr_t)how.journal % 8, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    anyhv_state_file_close(&file);
}

/* To the last byte of each part. */
static void kept(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    memset(file.note, 1, 8);
    memset(file.area, 2, keep_size);
    anyhv_state_file_close(&file);
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    assert_true(file.resume);
    assert_int_equal(((uint8_t *)file.note)[7], 1);
    assert_int_equal(((uint8_t *)file.area)[0], 2);
    assert_int_equal(((uint8_t *)file.area)[keep_size - 1], 2);
    anyhv_state_file_close(&file);
}

/* What a process wrote before it was killed is there, without a word from it. */
static void kept_when_killed(void **state)
{
    struct anyhv_state_file file;
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        if (open_file(&file, "guest") == ANYHV_OK)
            memset(file.area, 7, keep_size);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    assert_true(file.resume);
    assert_int_equal(((uint8_t *)file.area)[keep_size - 1], 7);
    anyhv_state_file_close(&file);
}

static void of_another_owner(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    memset(file.area, 2, keep_size);
    anyhv_state_file_close(&file);
    assert_int_equal(open_file(&file, "guests"), ANYHV_OK);
    assert_false(file.resume);
    assert_int_equal(((uint8_t *)file.area)[0], 0);
    anyhv_state_file_close(&file);
}

static void of_another_shape(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    anyhv_state_file_close(&file);
    assert_int_equal(anyhv_state_file_open(&file, path, "guest", 8, &three_queues),
                     ANYHV_E_VERSION);
    assert_int_equal(anyhv_state_file_open(&file, path, "guest", 16, &two_queues), ANYHV_E_VERSION);
    assert_int_equal(truncate(path, 200), 0);
    assert_int_equal(open_file(&file, "guest"), ANYHV_E_VERSION);
    anyhv_state_file_close(&file); /* does nothing */
}

/* A process was killed before it had made the file: nobody believes it. */
static void half_made(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    for (off_t size = 0; size < 300; size += 37) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

        assert_int_equal(ftruncate(fd, size), 0);
        close(fd);
        assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
        assert_false(file.resume);
        anyhv_state_file_remove(&file);
    }
}

/* Whatever it is of whoever it is: it stays. */
static void somebodys_file(void **state)
{
    static const char *const texts[] = {"a", "precious",
                                        "a file of more bytes than a header has: "};
    struct anyhv_state_file file;
    struct stat st;

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        off_t zeroes = i < 3 ? 0 : 4096; /* as a disk's image begins */

        assert_int_equal(lseek(fd, zeroes, SEEK_SET), zeroes);
        for (unsigned n = 0; n < 100; n++)
            assert_true(write(fd, texts[i % 3], strlen(texts[i % 3])) > 0);
        close(fd);
        assert_int_equal(open_file(&file, "guest"), ANYHV_E_INVAL);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, zeroes + 100 * (off_t)strlen(texts[i % 3]));
    }
}

static void one_at_a_time(void **state)
{
    struct anyhv_state_file file, other;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    assert_int_equal(open_file(&other, "guest"), ANYHV_E_STATE);
    anyhv_state_file_close(&file);
    assert_int_equal(open_file(&other, "guest"), ANYHV_OK);
    anyhv_state_file_close(&other);
}

static void removed(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    anyhv_state_file_remove(&file);
    assert_int_equal(access(path, F_OK), -1);
    anyhv_state_file_remove(&file);
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    assert_false(file.resume);
    anyhv_state_file_remove(&file);
}

static void not_a_file(void **state)
{
    struct anyhv_state_file file;

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_file(&file, "guest"), ANYHV_E_IO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(open_file(&file, "guest"), ANYHV_E_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_file(&file, "guest"), ANYHV_E_INVAL);
}

static void names_and_paths(void **state)
{
    char name[ANYHV_STATE_FILE_OWNER + 1];
    struct anyhv_state_file file;

    (void)state;
    memset(name, 'x', sizeof(name));
    name[ANYHV_STATE_FILE_OWNER] = '\0';
    assert_int_equal(open_file(&file, name), ANYHV_E_INVAL);
    name[ANYHV_STATE_FILE_OWNER - 1] = '\0';
    assert_int_equal(open_file(&file, name), ANYHV_OK);
    anyhv_state_file_remove(&file);
    assert_int_equal(anyhv_state_file_open(&file, "/none/such", "guest", 8, NULL), ANYHV_E_IO);
    assert_int_equal(errno, ENOENT);
}

static void note_only(void **state)
{
    struct anyhv_state_file file;
    uint32_t number = 5;

    (void)state;
    assert_int_equal(anyhv_state_file_open(&file, path, "guest", 4, NULL), ANYHV_OK);
    assert_null(file.area);
    memcpy(file.note, &number, 4);
    anyhv_state_file_close(&file);
    assert_int_equal(anyhv_state_file_open(&file, path, "guest", 4, NULL), ANYHV_OK);
    assert_memory_equal(file.note, &number, 4);
    anyhv_state_file_close(&file);
}

/* The predecessor had the file and no device yet: there is nothing to resume. */
static void used_for_an_attach(void **state)
{
    struct anyhv_state_file file;
    struct anyhv_attach how = {0};
    struct anyhv_state *block;

    (void)state;
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    anyhv_state_file_use(&file, &how);
    assert_false(how.resume);
    anyhv_state_file_close(&file);
    assert_int_equal(open_file(&file, "guest"), ANYHV_OK);
    anyhv_state_file_use(&file, &how);
    assert_false(how.resume);
    block = file.area;
    block->magic = ANYHV_STATE_MAGIC;
    anyhv_state_file_use(&file, &how);
    assert_true(how.resume);
    anyhv_state_file_close(&file);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, begin, end)

static const struct CMUnitTest tests[] = {
    UNIT(fresh_is_zero),
    UNIT(kept),
    UNIT(kept_when_killed),
    UNIT(of_another_owner),
    UNIT(of_another_shape),
    UNIT(half_made),
    UNIT(somebodys_file),
    UNIT(one_at_a_time),
    UNIT(removed),
    UNIT(not_a_file),
    UNIT(names_and_paths),
    UNIT(note_only),
    UNIT(used_for_an_attach),
};

ANYHV_TEST_MAIN("state-file", tests)
