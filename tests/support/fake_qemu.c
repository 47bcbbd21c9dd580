/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Does with its arguments what QEMU does that can be seen from outside: writes -pidfile FILE and holds its lock. With
 * -secret it forbids core dumps. A byte on standard output says that it is ready; then it waits to be killed. */

static int
write_pid_file (const char *path)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  char text[32];
  const int length = snprintf (text, sizeof text, "%d\n", (int)getpid ());
  const int fd = open (path, O_RDWR | O_CREAT, 0644);

  if (fd < 0 || fcntl (fd, F_SETLK, &lock) < 0 || ftruncate (fd, 0) < 0)
    return -1;
  return write (fd, text, (size_t)length) == length ? 0 : -1;
}

int
main (int argc, char **argv)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 1; i < argc; i++)
    {
      if (strcmp (argv[i], "-secret") == 0)
        prctl (PR_SET_DUMPABLE, 0);
      if (i > 1 && strcmp (argv[i - 1], "-pidfile") == 0 && write_pid_file (argv[i]) < 0)
        return 1;
    }
  if (write (STDOUT_FILENO, "", 1) != 1)
    return 1;
  for (;;)
    pause ();
}
