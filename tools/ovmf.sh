#!/bin/sh
# Prints the path of UEFI firmware for QEMU (OVMF), and ends with 1 when this machine has none.
# The usual places of Debian and Ubuntu, Fedora, Arch; $OVMF comes first.
for file in ${OVMF:+"$OVMF"} \
    /usr/share/ovmf/OVMF.fd \
    /usr/share/qemu/OVMF.fd \
    /usr/share/OVMF/OVMF_CODE_4M.fd \
    /usr/share/OVMF/OVMF_CODE.fd \
    /usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2 \
    /usr/share/edk2/ovmf/OVMF_CODE.fd \
    /usr/share/edk2/x64/OVMF.4m.fd \
    /usr/share/edk2/x64/OVMF_CODE.4m.fd \
    /usr/share/edk2-ovmf/x64/OVMF.fd; do
    if [ -r "$file" ]; then
        printf '%s\n' "$file"
        exit 0
    fi
done
exit 1
