# A network of a tenant's own. Making what is there, and taking away what is gone, are both done: a call may come again.
. ./common.sh
tenant=$(input tenant)
case $MAINSTAY_DISCRIMINATOR in
deploy)
    mkdir -p "state/$tenant/network"
    done_with "{ \"network\": \"net-$tenant\" }"
    ;;
dispose)
    rm -rf "state/$tenant"
    ;;
esac
