#!/bin/sh
# Makes the secrets of a deployment, once, in the folder `secrets` beside this file, or in the one that is named.
#   users.acl      the server's users, with digests of their passwords
#   valkey.env     the password of `reader`, by which the server's health is asked
#   writer.env     REDIS_URL of all processes but the archiver and the notifier
#   archiver.env   REDIS_URL of the archiver, which can neither append a fact nor read an account
#   notifier.env   REDIS_URL of the notifier, which reads alarms, accounts' records and sites, and writes only what is its own
#   listener.env   REDIS_URL of programs of others that hear alarms, and can read and do nothing else
#   api.env        METERLINE_API_TOKEN, which callers of the API present
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
    echo "$folder is there already: secrets are made once; to make new ones, move it away" >&2
    exit 2
fi
secret() { od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'; }
digest() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
writer=$(secret) archiver=$(secret) notifier=$(secret) listener=$(secret) reader=$(secret)
mkdir "$folder"
cat > "$folder/users.acl" <<END
user default off resetpass ~* &* +@all
user writer on #$(digest "$writer") ~* &* +@all -@dangerous +info +config|get +bgrewriteaof +keys +sync +replconf
user archiver on #$(digest "$archiver") resetkeys %RW~log:* %RW~postings:* %RW~usage:* %RW~quarantined:* %RW~refused:* %RW~alarms:* %RW~commands:* %RW~ledger:* ~archived:* %R~settled:* %R~readers:* %R~meterline -@all +@connection -@dangerous +hgetall +hget +hset +get +exists +xread +xrange +xinfo|stream +xtrim +ltrim +eval
user notifier on #$(digest "$notifier") resetkeys %R~alarms:* %R~account_records:* %R~site_records:* %R~meterline ~*:{notify} -@all +@connection -@dangerous +hget +hmget +hgetall +hvals +hset +hsetnx +hdel +hincrby +xrange +xrevrange +xadd +zadd +zrem +zrange +zcard +eval
user listener on #$(digest "$listener") resetkeys %R~alarm_messages:* %R~meterline resetchannels &alarms &alarms:* -@all +@connection -@dangerous +hget +xread +xrange +xrevrange +xlen +subscribe +psubscribe +unsubscribe +punsubscribe
user reader on #$(digest "$reader") ~* &* -@all +@read +@pubsub +@connection -@dangerous -publish -spublish
END
# The server runs as a user of its own, and reads digests of long random passwords only.
chmod 644 "$folder/users.acl"
echo "REDISCLI_AUTH=$reader" > "$folder/valkey.env"
echo "REDIS_URL=redis://writer:$writer@valkey:6379" > "$folder/writer.env"
echo "REDIS_URL=redis://archiver:$archiver@valkey:6379" > "$folder/archiver.env"
echo "REDIS_URL=redis://notifier:$notifier@valkey:6379" > "$folder/notifier.env"
echo "REDIS_URL=redis://listener:$listener@valkey:6379" > "$folder/listener.env"
echo "METERLINE_API_TOKEN=$(secret)" > "$folder/api.env"
echo "secrets are in $folder: keep a copy where it is safe"
