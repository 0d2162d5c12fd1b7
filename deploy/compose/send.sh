#!/bin/sh
# Sends a batch every few seconds to numbers of several countries, with each kind of report in turn. It needs $GATEWAY
# (the URL of a service plan), $TOKEN, and only the commands of busybox.
set -eu

batch=0
for_ever() {
	while :; do
		for report in per_recipient per_recipient_final per_recipient_final full summary none; do
			send "$report"
			sleep 4
		done
	done
}

send() {
	batch=$((batch + 1))
	body="{\"from\": \"12025550100\", \"to\": [$(numbers)], \"body\": \"Hello\", \"client_reference\": \"example-$batch\",
		\"delivery_report\": \"$1\", \"feedback_enabled\": $([ $((batch % 4)) = 0 ] && echo false || echo true)}"
	if wget -q -O /dev/null -T 10 --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' \
		--post-data "$body" "$GATEWAY/batches"; then
		touch /tmp/taken
	else
		echo "batch $batch was not accepted" >&2
	fi
}

# numbers prints five numbers of each country, different ones for each batch.
numbers() {
	comma=
	for prefix in 4477009 12025 491511 336390 346000 467001 5511912 919812 614915 353851; do
		for one in 0 1 2 3 4; do
			printf '%s"%s%06d"' "$comma" "$prefix" $(((batch * 5 + one) % 1000000))
			comma=,
		done
	done
}

for_ever
