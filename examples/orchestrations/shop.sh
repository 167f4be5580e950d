# One script for all that a shop does: which activity it is, and whether it is done or taken back, stand in its environment.
. ./common.sh
case $MAINSTAY_ACTIVITY/$MAINSTAY_DISCRIMINATOR in
pay/deploy)
    if [ "$(input card)" = expired ]; then
        echo "the card has expired" >&2
        exit 64 # EX_USAGE: no attempt will do, and nothing was done
    fi
    ;;
esac
echo "$MAINSTAY_DISCRIMINATOR $MAINSTAY_ACTIVITY" >>"state/shop-${MAINSTAY_RUN%~dispose}"
