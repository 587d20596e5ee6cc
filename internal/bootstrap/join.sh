#!/bin/sh
# Joins this machine to its cluster. Each step writes one line, tagged
# cloud-init, to the system log and to the serial console.
umask 077
dir=/etc/poolkeeper
run=/run/poolkeeper
pki=/var/lib/kubelet/pki
meta=http://100.100.100.200/latest
. $dir/settings
requests=$API_SERVER/apis/certificates.k8s.io/v1/certificatesigningrequests
where=${API_SERVER#https://}
host=${where%:*}
port=${where##*:}
mkdir -p $run $pki /etc/kubernetes /etc/systemd/system/kubelet.service.d

say() {
	logger -s -t cloud-init "poolkeeper step=$step $1" 2>/dev/console
}

begin() {
	step=$1
	began=$(date +%s%3N)
}

ok() {
	now=$(date +%s%3N)
	say "outcome=ok exit=0 duration=$((now - began))ms $1"
}

fail() { # fail CODE TEXT
	now=$(date +%s%3N)
	say "outcome=failed exit=$1 duration=$((now - began))ms $2"
	exit "$1"
}

skip() {
	say "outcome=skipped exit=0 duration=0ms $1"
}

cause() { # the end of a file on one line
	tail -c 600 "$1" | tr '\n"' " '"
}

pause() { # pause MILLISECONDS
	sleep $(($1 / 1000)).$(printf %03d $(($1 % 1000)))
}

field() { # field NAME: a text of the identity document
	value=
	case $document in
	*"\"$1\":"*)
		value=${document#*"\"$1\":"}
		value=${value#*\"}
		value=${value%%\"*}
		;;
	esac
}

metadata() { # metadata PATH FILE
	curl -sS -f --max-time 5 -H "X-aliyun-ecs-metadata-token: $token" -o "$2" "$meta/$1" 2>$run/error
}

identity() {
	curl -sS -f --max-time 5 -X PUT -H "X-aliyun-ecs-metadata-token-ttl-seconds: 21600" -o $run/token $meta/api/token 2>$run/error || return $?
	token=$(cat $run/token)
	metadata dynamic/instance-identity/document $run/document
}

begin network
tries=1
until identity; do
	code=$?
	[ $tries -lt "$REACH_TRIES" ] || fail $code "metadata service: $(cause $run/error)"
	tries=$((tries + 1))
	pause "$REACH_PAUSE"
done
document=$(cat $run/document)
field instance-id
id=$value
field region-id
region=$value
field zone-id
zone=$value
field instance-type
type=$value
[ -n "$id" ] || fail 1 "the identity document names no instance"
now=$(date +%s)
deadline=$((now + JOIN_DEADLINE))
[ "$now" -ge "$ISSUED" ] || fail 1 "the clock is behind: it says $now, the join credential is of $ISSUED"
[ "$now" -lt "$EXPIRES" ] || fail 1 "the join credential ended at $EXPIRES, the clock says $now"
ok "instance=$id"

begin reach-apiserver
tries=1
until curl -sS -A poolkeeper --connect-timeout 2 --max-time 10 --cacert $dir/ca.crt -o /dev/null "$API_SERVER/version" 2>$run/error; do
	code=$?
	[ $tries -gt 1 ] || say "outcome=waiting host=$host port=$port error=\"$(cause $run/error)\""
	[ $code != 60 ] || tries=$REACH_TRIES
	[ $tries -lt "$REACH_TRIES" ] || fail $code "host=$host port=$port tries=$tries error=\"$(cause $run/error)\""
	tries=$((tries + 1))
	[ $code = 28 ] || pause "$REACH_PAUSE"
done
ok "host=$host port=$port tries=$tries"

begin mig-reset
case $type in
ecs.ebmgn7.* | ecs.ebmgn7e.*)
	mig=$(nvidia-smi --query-gpu=mig.mode.current --format=csv,noheader) || fail $? "nvidia-smi did not answer"
	case $mig in
	*Enabled*)
		say "outcome=waiting resetting MIG partitions, at most $MIG_LIMIT s"
		timeout "$MIG_LIMIT" sh -c 'nvidia-smi mig -dci; nvidia-smi mig -dgi; nvidia-smi -mig 0' >$run/error 2>&1 ||
			fail $? "error=\"$(cause $run/error)\""
		ok "partitions reset"
		;;
	*) ok "no partitions" ;;
	esac
	;;
*) skip "type=$type" ;;
esac

begin runtime
systemctl is-active --quiet containerd || systemctl enable --now containerd 2>$run/error ||
	fail $? "containerd: $(cause $run/error)"
ok

begin kubelet
version=$(kubelet --version 2>$run/error)
code=$?
if [ $code = 127 ] && [ -n "$KUBELET_URL" ]; then
	curl -sS -f -L --max-time 600 -o $run/kubelet "$KUBELET_URL" 2>$run/error || fail $? "error=\"$(cause $run/error)\""
	sum=$(sha256sum $run/kubelet)
	[ "${sum%% *}" = "$KUBELET_SHA256" ] || fail 1 "the kubelet from $KUBELET_URL has another SHA-256"
	chmod 755 $run/kubelet
	mv $run/kubelet /usr/bin/kubelet
	version=$(kubelet --version 2>$run/error)
	code=$?
fi
[ $code = 0 ] || fail $code "no kubelet: $(cause $run/error)"
ok "version=\"$version\""

begin config
sed "s/@PROVIDER_ID@/$region.$id/" $dir/kubelet.json >/etc/kubernetes/kubelet-config.json || fail $? "kubelet configuration"
printf '{"apiVersion":"v1","kind":"Config","current-context":"node","clusters":[{"name":"cluster","cluster":{"server":"%s","certificate-authority":"%s"}}],"users":[{"name":"node","user":{"client-certificate":"%s","client-key":"%s"}}],"contexts":[{"name":"node","context":{"cluster":"cluster","user":"node"}}]}\n' \
	"$API_SERVER" $dir/ca.crt $pki/kubelet-client-current.pem $pki/kubelet-client-current.pem >/etc/kubernetes/kubelet.conf
labels=topology.kubernetes.io/region=$region,topology.kubernetes.io/zone=$zone,node.kubernetes.io/instance-type=$type,poolkeeper.io/pool=$POOL
printf '[Unit]\nAfter=containerd.service\n[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/kubelet-config.json --kubeconfig=/etc/kubernetes/kubelet.conf --cert-dir=%s --hostname-override=%s --register-schedulable=%s --node-labels=%s\nRestart=always\nRestartSec=5\n[Install]\nWantedBy=multi-user.target\n' \
	$pki "$id" "$SCHEDULABLE" "$labels${LABELS:+,$LABELS}" >/etc/systemd/system/kubelet.service.d/10-poolkeeper.conf
ok

user() { # the script of the pool's owner for this step
	if [ ! -s "$dir/$step" ]; then
		skip
		return
	fi
	"$dir/$step" >$run/$step.log 2>&1 || fail $? "error=\"$(cause $run/$step.log)\""
	ok
}

begin pre-user-data
user

ask() { # ask CURL-ARGUMENTS: the API server, with the join credential, for a request
	curl -sS -f -A poolkeeper --max-time 30 --cacert $dir/ca.crt -H @$dir/credential -o $run/filed.json "$@" 2>$run/error
}

decided() { # decided FILE: what its request, or the events of it, say that ends the wait
	grep -m 1 -o -e '"certificate":"[^"]*"' -e '"type":"Denied"[^}]*' -e '"type":"Failed"[^}]*' -e '^{"type":"DELETED"' "$1" >$run/verdict
}

# A request that waits is looked at again, not filed again: of thousands that wait
# longer than a watch, each would have a newer one when its turn comes.
filing() {
	if [ -n "$name" ] && ! ask "$requests/$name?resourceVersion=0"; then
		case $(cat $run/error) in
		*': 404'*) name= ;;
		*) return 1 ;;
		esac
	fi
	if [ -z "$name" ]; then
		ask -H 'Content-Type: application/json' --data-binary @$run/request.json "$requests" || return $?
		filed=$(cat $run/filed.json)
		name=${filed#*\"name\":\"}
		name=${name%%\"*}
	fi
	if ! decided $run/filed.json; then
		left=$((deadline - $(date +%s)))
		[ $left -lt "$WATCH_SECONDS" ] || left=$WATCH_SECONDS
		[ $left -gt 0 ] || left=1
		rm -f $run/events
		mkfifo $run/events
		curl -sS -f -N -A poolkeeper --max-time $((left + 10)) --cacert $dir/ca.crt -H @$dir/credential \
			"$requests?watch=1&fieldSelector=metadata.name%3D$name&resourceVersion=0&timeoutSeconds=$left" >$run/events 2>$run/error &
		decided $run/events
		kill $! 2>/dev/null
		wait $! 2>/dev/null
	fi
	verdict=$(cat $run/verdict)
	case $verdict in
	*'"certificate":"'*) return 0 ;;
	'') echo "no decision about request $name yet" >$run/error ;;
	*)
		echo "request $name: $verdict" >$run/error
		name=
		;;
	esac
	return 1
}

begin join
key=$pki/poolkeeper.key
if [ ! -s $key ]; then
	openssl ecparam -name prime256v1 -genkey -noout -out $key.new 2>$run/error || fail $? "key: $(cause $run/error)"
	mv $key.new $key
	sync
fi
openssl pkey -in $key -pubout -outform DER -out $run/public.der 2>$run/error &&
	openssl req -new -key $key -subj "/O=system:nodes/CN=system:node:$id" -out $run/request.pem 2>$run/error ||
	fail $? "request: $(cause $run/error)"
hash=$(sha256sum $run/public.der)
metadata "dynamic/instance-identity/pkcs7?audience=${hash%% *}" $run/signature || fail $? "identity: $(cause $run/error)"
printf '{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"generateName":"poolkeeper-%s-","annotations":{"poolkeeper.io/identity-document":"%s","poolkeeper.io/identity-signature":"%s"}},"spec":{"request":"%s","signerName":"kubernetes.io/kube-apiserver-client-kubelet","usages":["digital signature","client auth"]}}' \
	"$POOL" "$(base64 -w 0 $run/document)" "$(base64 -w 0 $run/signature)" "$(base64 -w 0 $run/request.pem)" >$run/request.json
name=
delay=$RETRY_MIN
refused=0
told=
until filing; do
	code=$?
	why=$(cause $run/error)
	case $why in
	*': 401'*) refused=$((refused + 1)) ;;
	*) refused=0 ;;
	esac
	[ $refused -lt "$CREDENTIAL_TRIES" ] || fail $code "the API server refuses the join credential: $why"
	[ "$(date +%s)" -lt $deadline ] || fail $code "not joined within $JOIN_DEADLINE s: $why"
	[ -n "$told" ] || say "outcome=waiting $why"
	told=yes
	pause "$delay"
	delay=$((delay * 2))
	[ $delay -le "$RETRY_MAX" ] || delay=$RETRY_MAX
done
verdict=${verdict#*\"certificate\":\"}
printf %s "${verdict%%\"*}" >$run/certificate.b64
base64 -d $run/certificate.b64 >$run/certificate.pem || fail $? "the certificate is not base64"
cat $run/certificate.pem $key >$pki/kubelet-client-current.pem
sync
ok "request=$name"

ready() {
	rm -f $run/events
	mkfifo $run/events
	curl -sS -f -N -A poolkeeper --max-time $((WATCH_SECONDS + 10)) --cacert $dir/ca.crt --cert $pki/kubelet-client-current.pem \
		"$API_SERVER/api/v1/nodes?watch=1&fieldSelector=metadata.name%3D$id&timeoutSeconds=$WATCH_SECONDS" >$run/events 2>$run/error &
	grep -m 1 -o -e '"type":"Ready","status":"True"' $run/events >$run/verdict
	code=$?
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	return $code
}

begin ready
systemctl daemon-reload
# One that runs does not register a node that was deleted: it is started anew.
systemctl enable kubelet 2>$run/error && systemctl restart kubelet 2>$run/error || fail $? "kubelet: $(cause $run/error)"
until ready; do
	[ "$(date +%s)" -lt $deadline ] || fail 1 "node $id not Ready within $JOIN_DEADLINE s: $(cause $run/error)"
	pause "$RETRY_MIN"
done
ok "node=$id"

begin post-user-data
user

rm -f $dir/credential $run/token $run/request.json
grep -v 'cloud-init: poolkeeper ' /var/log/messages >$run/messages
cat $run/messages >/var/log/messages
rm -rf $run
