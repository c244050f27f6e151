#!/bin/bash
# machine.sh FOLDER: makes the machine that record.mjs starts, of Debian's packages. Needs root, and 2 GB of disk.
# What it needs besides a shell: qemu-system-x86, debootstrap, cpio, kmod, xz-utils, gcc with libc6-dev, iproute2 (docs/recording.md).
set -e
V=6.12.117+deb12-amd64
mkdir -p "$1"
cd "$1"
[ -d kernel ] || { apt-get download "linux-image-$V"; dpkg-deb -x "linux-image-$V"_*.deb kernel; rm "linux-image-$V"_*.deb; }
[ -d base ] || debootstrap --variant=minbase --include=iproute2,nftables,ethtool,kmod,procps bookworm base
rm -rf root
cp -a base root
(cd root && rm -rf usr/share/{doc,man,locale,info,zoneinfo,bash-completion} var/{lib/apt,cache,lib/dpkg,log/*} usr/bin/{perl*,apt*} usr/lib/x86_64-linux-gnu/{perl-base,gconv,libapt*})
# the modules of the network and of the shared folder, unpacked, so that the machine has no work with them
depmod -b kernel "$V"
(cd kernel && find "lib/modules/$V/kernel" \( -path '*/net/*' -o -path '*/fs/9p*' -o -path '*/fs/netfs*' -o -path '*/virtio*' -o -name 'failover*' -o -name '*crc32c*' \) -name '*.ko.xz' |
  grep -vE '/(wireless|can|usb|wan|bluetooth|mac80211|ethernet/[^i]|ethernet/i[^n]|wwan|ieee|infiniband|tipc|sctp|rds|ceph|sunrpc|batman)') |
  while read -r f; do mkdir -p "root/$(dirname "$f")"; xz -dc "kernel/$f" >"root/${f%.xz}"; done
cp "kernel/lib/modules/$V"/modules.{builtin,order,builtin.modinfo} "root/lib/modules/$V/"
depmod -b root "$V"
cat >root/init <<'INIT'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev 2>/dev/null; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
mkdir -p /run/netns /t /h; mount -t tracefs t /t
modprobe dummy numdummies=0
for m in 9pnet_virtio 9p virtio_pci virtio_net e1000 veth bridge 8021q af_packet nf_tables sch_netem sch_fq; do modprobe $m; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 h /h
ip link set lo up
sh /h/job.sh >/h/job.out 2>&1
sync
echo o >/proc/sysrq-trigger
sleep 5
INIT
# hw.sh eth0 e1000|virtio_net: a pair of cards goes to the two namespaces, as it is when nothing was set
cat >root/hw.sh <<'HW'
#!/bin/sh
case $2 in e1000) P=e1 ;; virtio_net) P=f1 ;; *) exit 1 ;; esac
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ $(grep -l 52:54:00:00:$P: /sys/class/net/*/address | wc -l) = 2 ] && break
  sleep 0.1
done
nsenter -t 1 -n /bin/sh -c "
for d in /sys/class/net/*; do n=\$(basename \$d); case \$(cat \$d/address) in
 52:54:00:00:$P:01) ip link set \$n netns host name $1 ;;
 52:54:00:00:$P:02) ip link set \$n netns peer name $1 ;; esac; done"
for n in host peer; do
  ip -n $n link set $1 up
  ip netns exec $n ethtool -K $1 tx on sg on tso on gso on >/dev/null 2>&1
  ip -n $n link set $1 mtu 1500
done
# QEMU's e1000 takes nothing for a second after it was set up
[ $2 = e1000 ] && sleep 1.05
true
HW
chmod +x root/init root/hw.sh
(cd root && find . | cpio -o -H newc --quiet) >initrd
cp "kernel/boot/vmlinuz-$V" vmlinuz
# two cards of virtio_net are joined by a bridge of this machine, which passes on what they leave to be done
ip netns del skbtrace-record 2>/dev/null || true
ip netns add skbtrace-record
ip netns exec skbtrace-record sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip -n skbtrace-record link add name br0 type bridge mcast_snooping 0
for t in tap0 tap1; do
  ip netns exec skbtrace-record ip tuntap add dev $t mode tap vnet_hdr
  ip -n skbtrace-record link set $t master br0
  ip -n skbtrace-record link set $t up
done
ip -n skbtrace-record link set br0 up
