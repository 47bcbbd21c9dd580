# SPDX-License-Identifier: LGPL-2.1-or-later
# In the guest, at every update of the tree: what the tree gave, what the kernel says was used, and what the attributor gave to
# whom. sampler.pl TREE PORT CGROUP..; shares no code with the attributor, and reads the same kernel.
#   S uptime-s energy-µJ idle-ticks   C cgroup µs-used   P cgroup pid start ticks-used   J cgroup µJ   M µJ-measured µJ-of-kernel
use strict;
use IO::Socket::INET;

my ($tree, $port, @groups) = @ARGV;
$| = 1;

sub text {
  open (my $file, '<', $_[0]) or return '';
  local $/;
  return <$file> // '';
}

sub document {
  my $socket = IO::Socket::INET->new (PeerAddr => "127.0.0.1:$port") or return '';
  print $socket "GET /v1/energy HTTP/1.0\r\n\r\n";
  local $/;
  return <$socket> // '';
}

sub processes {
  my ($group) = @_;
  for my $pid (map { split } map { text ($_) } glob ("/sys/fs/cgroup$group/cgroup.procs /sys/fs/cgroup$group/*/cgroup.procs")) {
    my @stat = split (' ', (text ("/proc/$pid/stat") =~ /.*\) (.*)/)[0] // '') or next;
    print "P $group $pid $stat[19] ", $stat[11] + $stat[12], "\n";
  }
}

sub given {
  my $document = document ();
  my ($measured, $kernel) = $document =~ /"id" : "package-0",\s+"measured_uj" : (\d+),\s+"kernel_uj" : (\d+)/ or return;
  print "M $measured $kernel\n";
  for my $group (@groups) {
    print "J $group $1\n" if $document =~ /"cgroup" : "\Q$group\E".*?"energy_uj" : \{\s+"package-0" : (\d+)/s;
  }
}

sub generation {
  return join (' ', (stat ("$tree/../generation"))[1, 9]);
}

my $last = generation (); # nothing is noted in the middle of an interval
for (;; select (undef, undef, undef, 0.03)) {
  my $now = generation ();
  next if $now eq $last;
  $last = $now;
  my $energy = text ("$tree/intel-rapl:0/energy_uj");
  my @ticks = split (' ', text ('/proc/stat'));
  my ($uptime) = split (' ', text ('/proc/uptime'));
  my @used = map { text ("/sys/fs/cgroup$_/cpu.stat") =~ /usage_usec (\d+)/ } @groups;
  chomp $energy;
  print "S $uptime $energy ", $ticks[4] + $ticks[5], "\n";
  print "C $groups[$_] $used[$_]\n" for 0 .. $#groups;
  processes ($_) for @groups;
  select (undef, undef, undef, 0.1); # the attributor has its turn
  given ();
}
