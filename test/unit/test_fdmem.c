/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of a peer's files, and what happens when the peer shrinks them. */
#include "testing.h"

#include <anyhv/linux/fdmem.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t page;

/* A file without seals, byte i holding i * 7, as a peer would make it. */
static int make_file(uint64_t size)
{
    int fd = memfd_create("peer", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (uint64_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
    }
    return fd;
}

static void test_map_at_any_offset(void **state)
{
    static const uint64_t offsets[] = {0, 1, 4095, 4096, 4097, 8191};
    int fd = make_file(5 * page);
    (void)state;

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct anyhv_fdmem mem;
        uint64_t offset = offsets[i], size = 5 * page - offset;
        uint8_t byte = 0;
        assert_int_equal(anyhv_fdmem_map(&mem, fd, offset, size, false), ANYHV_OK);
        assert_int_equal(mem.size, size);
        for (uint64_t k = 0; k < size; k++)
            assert_int_equal(mem.host[k], (uint8_t)((offset + k) * 7));
        mem.host[size - 1] = 0xa5; /* shared: it arrives in the file */
        assert_int_equal(pread(fd, &byte, 1, (off_t)(5 * page - 1)), 1);
        assert_int_equal(byte, 0xa5);
        mem.host[size - 1] = (uint8_t)((5 * page - 1) * 7);
        assert_false(anyhv_fdmem_lost(&mem));
        anyhv_fdmem_unmap(&mem);
        assert_null(mem.host);
        anyhv_fdmem_unmap(&mem); /* nothing */
    }
    close(fd);
}

static void test_map_outlives_the_descriptor(void **state)
{
    struct anyhv_fdmem mem;
    int fd = make_file(100);
    (void)state;

    assert_int_equal(anyhv_fdmem_map(&mem, fd, 10, 90, false), ANYHV_OK);
    close(fd);
    assert_int_equal(mem.host[0], 70);
    anyhv_fdmem_unmap(&mem);
}

static void test_bad_requests(void **state)
{
    struct anyhv_fdmem mem;
    int fd = make_file(2 * page), pipe_fds[2];
    (void)state;

    assert_int_equal(anyhv_fdmem_map(&mem, fd, 0, 0, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, 0, 2 * page + 1, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, 1, 2 * page, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, 2 * page, 1, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, UINT64_MAX, 2, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, page, UINT64_MAX, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, 0, UINT64_MAX, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, UINT64_C(1) << 63, page, false), ANYHV_E_INVAL);
    assert_int_equal(anyhv_fdmem_map(&mem, -1, 0, page, false), ANYHV_E_IO);
    assert_int_equal(errno, EBADF);
    anyhv_fdmem_unmap(&mem); /* after a failure: nothing */
    close(fd);

    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(anyhv_fdmem_map(&mem, pipe_fds[0], 0, page, false), ANYHV_E_INVAL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- In a child each: signals, and a guard that is installed once per process ---- */

static int in_child(void (*what)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        what();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#define REQUIRE(cond)                                                  \
    do {                                                               \
        if (!(cond)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
            _exit(1);                                                  \
        }                                                              \
    } while (0)

static void touch(uint8_t *at)
{
    *(volatile uint8_t *)at = 1;
}

static void write_to_read_only(void)
{
    struct anyhv_fdmem mem;
    int fd = make_file(page);

    REQUIRE(anyhv_fdmem_guard() == 0);
    REQUIRE(anyhv_fdmem_map(&mem, fd, 0, page, true) == ANYHV_OK);
    REQUIRE(mem.host[3] == 21);
    touch(mem.host);
}

static void test_read_only(void **state)
{
    char path[] = "/tmp/anyhv-fdmem-XXXXXX";
    struct anyhv_fdmem mem;
    (void)state;

    int status = in_child(write_to_read_only);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);

    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    assert_int_equal(anyhv_fdmem_map(&mem, read_only, 0, page, false), ANYHV_E_IO);
    assert_int_equal(errno, EACCES);
    assert_int_equal(anyhv_fdmem_map(&mem, read_only, 0, page, true), ANYHV_OK);
    anyhv_fdmem_unmap(&mem);
    close(read_only);
    close(fd);
}

/* The peer cuts off the second half: the first touch there costs the map, and only the map. */
static void shrink(void)
{
    struct anyhv_fdmem mem, other;
    int fd = make_file(4 * page), other_fd = make_file(page);

    REQUIRE(anyhv_fdmem_guard() == 0);
    REQUIRE(anyhv_fdmem_guard() == 0);
    REQUIRE(anyhv_fdmem_map(&mem, fd, 100, 4 * page - 100, false) == ANYHV_OK);
    REQUIRE(anyhv_fdmem_map(&other, other_fd, 0, page, false) == ANYHV_OK);
    REQUIRE(ftruncate(fd, (off_t)(2 * page)) == 0);
    REQUIRE(mem.host[0] == (uint8_t)(100 * 7));
    REQUIRE(!anyhv_fdmem_lost(&mem));

    errno = 1234;
    touch(mem.host + 3 * page);
    REQUIRE(errno == 1234);
    REQUIRE(anyhv_fdmem_lost(&mem));
    REQUIRE(mem.host[0] == 0);
    memset(mem.host, 0xff, mem.size); /* writable, and nobody's */
    REQUIRE(mem.host[mem.size - 1] == 0xff);
    REQUIRE(!anyhv_fdmem_lost(&other) && other.host[1] == 7);
    anyhv_fdmem_unmap(&mem);

    REQUIRE(anyhv_fdmem_map(&mem, other_fd, 0, page, true) == ANYHV_OK);
    REQUIRE(!anyhv_fdmem_lost(&mem));
    REQUIRE(ftruncate(other_fd, 0) == 0);
    REQUIRE(*(volatile uint8_t *)other.host == 0);
    REQUIRE(*(volatile uint8_t *)mem.host == 0);
    REQUIRE(anyhv_fdmem_lost(&mem) && anyhv_fdmem_lost(&other));
    anyhv_fdmem_unmap(&other);
    anyhv_fdmem_unmap(&mem);
    close(fd);
    close(other_fd);
}

static void test_shrunk_file(void **state)
{
    (void)state;
    assert_int_equal(in_child(shrink), 0);
}

/* A map of somebody else, whose file is gone. */
static uint8_t *foreign_map(void)
{
    int fd = make_file(page);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    REQUIRE(p != MAP_FAILED);
    REQUIRE(ftruncate(fd, 0) == 0);
    return p;
}

static void foreign_fault(void)
{
    struct anyhv_fdmem mem;

    REQUIRE(anyhv_fdmem_map(&mem, make_file(page), 0, page, false) == ANYHV_OK);
    REQUIRE(anyhv_fdmem_guard() == 0);
    touch(foreign_map());
}

static void foreign_fault_ignored(void)
{
    signal(SIGBUS, SIG_IGN); /* an instruction that cannot be repeated cannot be ignored either */
    foreign_fault();
}

static void sent_signal(void)
{
    REQUIRE(anyhv_fdmem_guard() == 0);
    raise(SIGBUS);
}

static void sent_signal_ignored(void)
{
    signal(SIGBUS, SIG_IGN);
    sent_signal();
    sent_signal();
}

static void plain_handler(int sig)
{
    _exit(sig == SIGBUS ? 42 : 1);
}

static void foreign_fault_handled(void)
{
    signal(SIGBUS, plain_handler);
    foreign_fault();
}

static uint8_t *expected_address;

static void full_handler(int sig, siginfo_t *info, void *context)
{
    _exit(sig == SIGBUS && info->si_addr == expected_address && context ? 43 : 1);
}

static void foreign_fault_handled_fully(void)
{
    struct sigaction action = {.sa_sigaction = full_handler, .sa_flags = SA_SIGINFO};

    sigaction(SIGBUS, &action, NULL);
    REQUIRE(anyhv_fdmem_guard() == 0);
    expected_address = foreign_map();
    touch(expected_address);
}

/* As the kernel tells of memory that broke: nothing that zero pages would mend. */
static void broken_memory(void)
{
    struct anyhv_fdmem mem;
    siginfo_t info;

    REQUIRE(anyhv_fdmem_map(&mem, make_file(page), 0, page, false) == ANYHV_OK);
    REQUIRE(anyhv_fdmem_guard() == 0);
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = BUS_MCEERR_AR;
    info.si_addr = mem.host;
    syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info);
}

static void test_other_sigbus_keep_their_meaning(void **state)
{
    (void)state;
    int status = in_child(foreign_fault);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = in_child(foreign_fault_ignored);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = in_child(broken_memory);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = in_child(sent_signal);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_int_equal(in_child(sent_signal_ignored), 0);
    status = in_child(foreign_fault_handled);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    status = in_child(foreign_fault_handled_fully);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 43);
}

/* Several loops' threads map, lose and unmap at once. */
static void *map_and_lose(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct anyhv_fdmem mem;
        int fd = memfd_create("peer", MFD_CLOEXEC);
        REQUIRE(fd >= 0 && ftruncate(fd, (off_t)page) == 0);
        REQUIRE(anyhv_fdmem_map(&mem, fd, 0, page, false) == ANYHV_OK);
        REQUIRE(ftruncate(fd, 0) == 0);
        close(fd);
        touch(mem.host);
        REQUIRE(anyhv_fdmem_lost(&mem));
        anyhv_fdmem_unmap(&mem);
    }
    return NULL;
}

static void many_threads(void)
{
    pthread_t threads[4];

    REQUIRE(anyhv_fdmem_guard() == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, map_and_lose, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads(void **state)
{
    (void)state;
    assert_int_equal(in_child(many_threads), 0);
}

static void test_create(void **state)
{
    struct anyhv_fdmem mem;
    (void)state;

    assert_int_equal(anyhv_fdmem_create("ours", 0), -EINVAL);
    assert_int_equal(anyhv_fdmem_create("ours", UINT64_MAX), -EINVAL);
    int fd = anyhv_fdmem_create("ours", 3 * page);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_END), 3 * page);
    assert_int_equal(ftruncate(fd, (off_t)page), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    assert_int_equal(anyhv_fdmem_map(&mem, fd, 0, 3 * page, false), ANYHV_OK);
    mem.host[0] = 1;
    anyhv_fdmem_unmap(&mem);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

#define TEST(test) cmocka_unit_test_setup(test, set_up)

static const struct CMUnitTest tests[] = {
    TEST(test_map_at_any_offset), TEST(test_map_outlives_the_descriptor),
    TEST(test_bad_requests),      TEST(test_read_only),
    TEST(test_shrunk_file),       TEST(test_other_sigbus_keep_their_meaning),
    TEST(test_threads),           TEST(test_create),
};

ANYHV_TEST_MAIN("fdmem", tests)
