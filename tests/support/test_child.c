/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test_child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int
test_child_start (TestChildBody body, gpointer argument, int *ret_socket)
{
  int sockets[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
    return -1;
  const int pid = fork ();

  if (pid == 0)
    {
      close (sockets[0]);
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (body)
        body (argument, sockets[1]);
      for (;;)
        pause ();
    }
  close (sockets[1]);
  *ret_socket = sockets[0];
  return pid;
}

void
test_child_stop (int pid, int socket)
{
  close (socket);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

int
test_child_execute (guint uid, const char *program, const char *const *arguments)
{
  int ready[2];
  char byte;

  if (pipe (ready) < 0)
    return -1;
  const int pid = fork ();

  if (pid == 0)
    {
      dup2 (ready[1], STDOUT_FILENO);
      close (ready[0]);
      close (ready[1]);
      if (uid == 0 || setresuid (uid, uid, uid) == 0)
        execv (program, (char **)arguments);
      _exit (127);
    }
  close (ready[1]);
  const gboolean is_ready = read (ready[0], &byte, 1) == 1;

  close (ready[0]);
  return is_ready ? pid : -1;
}

gboolean
test_child_signal (int socket)
{
  return send (socket, "x", 1, MSG_NOSIGNAL) == 1;
}

gboolean
test_child_await (int socket)
{
  char byte;

  return read (socket, &byte, 1) == 1;
}
