# A name that leads to the machines.
. ./common.sh
tenant=$(input tenant)
case $MAINSTAY_DISCRIMINATOR in
deploy) input address >"state/$tenant/name" ;;
dispose) rm -f "state/$tenant/name" ;;
esac
