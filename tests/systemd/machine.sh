#!/bin/bash
# A machine for tests, in namespaces: `machine.sh FOLDER CGROUP NAME`. Builds a root in memory from the programs of this system,
# with a /etc and a /var of its own, and boots systemd in it as often as the machine is rebooted. Needs root.
set -e
folder=$1 cgroup=$2 name=$3 root=$1/root
mount --make-rprivate /
mkdir -p "$root"
mount -t tmpfs none "$root"
cd "$root"
mkdir -p usr etc/systemd/system var/{cache,lib/dpkg,log/journal,tmp} run tmp proc sys dev root opt home layers/{usr,dpkg}/{upper,work}
chmod 1777 tmp var/tmp
mount -t overlay none -o "lowerdir=/usr,upperdir=$root/layers/usr/upper,workdir=$root/layers/usr/work" usr
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
# Bare: no program that somebody installed here.
mount -t tmpfs none usr/local
mkdir -p usr/local/bin
if [ -d /var/lib/dpkg ]; then
  mount -t overlay none -o "lowerdir=/var/lib/dpkg,upperdir=$root/layers/dpkg/upper,workdir=$root/layers/dpkg/work" var/lib/dpkg
fi
for file in passwd group shadow gshadow nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d alternatives ssl dpkg login.defs; do
  if [ -e "/etc/$file" ]; then cp -a "/etc/$file" etc/; fi
done
echo 0123456789abcdef0123456789abcdef > etc/machine-id
cp -r "$folder"/files/. .

boot() {
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 none dev
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  mount -t tmpfs none dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin
  ln -s /proc/self/fd/1 dev/stdout
  ln -s /proc/self/fd/2 dev/stderr
  mount -t tmpfs -o mode=755 none run
  hostname "$name"
  ip link set lo up
  mkdir -p old
  pivot_root . old
  cd /
  umount -l old
  exec env -i container=pushring PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin /lib/systemd/systemd \
    --log-target=journal systemd.unit=multi-user.target
}

export -f boot
export name
while true; do
  # A reboot ends the process 1 with SIGHUP, a power-off with SIGINT.
  code=0
  bash -c "echo \$\$ > $cgroup/machine/cgroup.procs; exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child \
    --propagation private bash -c boot" || code=$?
  echo "the machine ended with $code"
  [ "$code" = 129 ] || exit "$code"
done
