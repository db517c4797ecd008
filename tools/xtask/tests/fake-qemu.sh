#!/usr/bin/env bash
# Stands in for QEMU and a Lifeboat that behaves, or misbehaves as an `act=` word on the kernel
# command line says. The command of `exec=` runs in the host's own shell.
# Every run ends with: -append TEXT -d cpu_reset -D FILE.
append=${*: -5:1} resets=${*: -1}
[ "${*: -6:1}" = -append ] || { echo "fake QEMU: unexpected arguments: $*" >&2; exit 1; }

act= command= interactive=1
while [ $# -gt 0 ]; do [ "$1" != -initrd ] || initrd=$2; shift; done
for word in $append; do
    case $word in
    act=*) act=${word#act=} ;;
    exec=*) interactive= command=$(sed 's/../\\x&/g' <<<"${word#exec=}") ;;
    esac
done

case $act in
no-kernel) echo "qemu: could not load kernel" >&2; exit 1 ;;
triple-fault) echo "booting"; printf 'CPU Reset\nTriple fault\n' >"$resets"; exit 0 ;;
reset) echo "booting"; exit 0 ;;
hang) echo "booting"; exec sleep 1000 ;;
keep) cp "$initrd" "$initrd.kept" ;;
esac

printf 'booting\r\n'
if [ -n "$interactive" ]; then
    stty -echo 2>/dev/null
    printf '\033[1mboat:\033[0m/$ '
    while IFS= read -r -d $'\r' line; do
        printf '%s\r\n' "$line"
        case $line in
        panic) printf '=== KERNEL PANIC ===\r\nwhy: asked to\r\n'; exit 35 ;;
        shutdown) exit 33 ;;
        reboot) exit 0 ;;
        *) eval "$line" 2>&1 | sed 's/$/\r/' ;;
        esac
        printf '\033[1mboat:\033[0m/$ '
    done
    exit 33
fi

printf '@@BEGIN\n'
bash -c "$(printf "$command")" 2>&1
status=$?
case $act in
panic) printf '=== KERNEL PANIC ===\nwhy: asked to\n'; exit 35 ;;
stuck) printf '\n@@END %d\n' $status; exec sleep 1000 ;;
esac
printf '\n@@END %d\n' $status
exit 33
