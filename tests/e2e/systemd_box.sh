#!/bin/bash
# systemd_box.sh DIRECTORY WEFT UNIT: a boot of this machine's systemd as the first process of new
# namespaces, on an overlay of this machine's files that begins with no units but WEFT's. Ends with
# the process that ran it under `unshare --kill-child`.
#
#   unshare -m -p -f -u -i -C --propagation private --kill-child=KILL systemd_box.sh …
set -euo pipefail
dir=$1 weft=$2 unit=$3
root=$dir/root

mount -t tmpfs none "$dir"
mkdir "$dir/up" "$dir/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/up,workdir=$dir/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
cgroups=$root/sys/fs/cgroup
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
  mount -t cgroup2 cgroup2 "$cgroups"
else
  mount -t tmpfs -o mode=755 tmpfs "$cgroups"
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir "$cgroups/$controller"
    mount -t cgroup -o "$controller" cgroup "$cgroups/$controller" || rmdir "$cgroups/$controller"
  done
  mkdir "$cgroups/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$cgroups/systemd"
fi
for place in run tmp dev var/log var/lib; do
  mount -t tmpfs -o mode=755 tmpfs "$root/$place"
done
for device in null zero full random urandom tty; do
  # shellcheck disable=SC2046  # Two words, major and minor.
  mknod -m 666 "$root/dev/$device" c $(stat -c '%Hr %Lr' "/dev/$device")
done
mkdir -p "$root"/dev/{net,pts,shm} "$root/var/log/journal"
mknod "$root/dev/net/tun" c 10 200

rm -rf "$root/etc/systemd/system" "$root/usr/bin/weft"
mkdir "$root/etc/systemd/system"
strip -o "$root/usr/bin/weft" "$weft"
cp "$unit" "$root/etc/systemd/system/weft.service"
cat >"$root/etc/systemd/system/box.target" <<EOF
[Unit]
Description=weft and what it needs
Wants=weft.service systemd-journald.service dbus.service
EOF
: >"$root/etc/machine-id"
: >"$root/etc/fstab"
exec env -i container=box PATH="$PATH" chroot "$root" /lib/systemd/systemd --unit=box.target
