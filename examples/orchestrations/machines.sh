# Machines as a tool such as Terraform makes them: the wish is written down, and the tool makes it so, whatever it did before.
#   terraform init -input=false && terraform apply -auto-approve -var "size=$size"     # deploy
#   terraform destroy -auto-approve                                                    # dispose
. ./common.sh
tenant=$(input tenant)
case $MAINSTAY_DISCRIMINATOR in
deploy)
    size=$(input size)
    echo "size = $size" >"state/$tenant/wish.tfvars"
    number=1
    while [ "$number" -le "$size" ]; do
        echo "making machine $number of $size in $(input network)" >&2
        : >"state/$tenant/network/machine-$number"
        number=$((number + 1))
    done
    done_with '{ "address": "10.0.0.7" }'
    ;;
dispose)
    rm -f "state/$tenant/network/machine-"* "state/$tenant/wish.tfvars"
    ;;
esac
