# Backups of a host: where they are, of what they consist, how one is found.
# shellcheck shell=bash disable=SC2034,SC2153
#
#   /var/backups/quartet/
#     cluster/                  pgBackRest's repository, encrypted: PostgreSQL, and its log of every second (WAL)
#     sets/<backup>/            what goes with each: settings.tar.age, images/, SHA256SUMS
#     dumps/<service>-<time>    one database each, by scripts/backup SERVICE: .dump.age, .dump.age.sha256
#     metrics/*.prom            for the textfile collector of Prometheus's node_exporter
#
# A backup is called as pgBackRest calls it: 20261121-023000F, or 20261121-023000F_20261122-023000I for
# what has changed since. Mount a disk of its own there.

readonly BACKUPS=/var/backups/quartet
readonly BACKUP_KEY=$SECRETS/backup.key         # opens all that is in sets/ and dumps/
readonly REPOSITORY_SETTINGS=$SETTINGS/pgbackrest.conf
readonly ARCHIVE_GAP=$BACKUPS/archive.gap       # nothing was archived for a while: no way leads over it
readonly KEPT_FULL=4 KEPT_DUMPS=10

one_at_a_time_with_backups() { one_at_a_time_in "$BACKUPS" "$@"; }

pgbackrest() { as_postgres pgbackrest --config="$REPOSITORY_SETTINGS" --stanza=quartet "$@"; }

# ---- what scripts/install makes

has_scripts() { [[ -d $LIBRARY/scripts && -z $(_copy_scripts --dry-run --itemize-changes) ]]; }

# The timers run these: a checkout under /root is out of their sight.
make_scripts() { _copy_scripts; }

_copy_scripts() { rsync -rlpc --delete --exclude=__pycache__ "$@" "$CHECKOUT/scripts/" "$LIBRARY/scripts/"; }

has_archive() {
  [[ -s $BACKUP_KEY && -s $SECRETS/backup.cluster ]] && _has_repository && ! _is_of_another_cluster &&
    [[ $(stat -c %U:%G:%a "$REPOSITORY_SETTINGS" 2>/dev/null) == root:postgres:640 ]]
}

_has_repository() { [[ $(stat -c %U "$BACKUPS/cluster/backup/quartet/backup.info" 2>/dev/null) == postgres ]]; }

# After pg_upgradecluster, the cluster has another folder, and perhaps another port.
_is_of_another_cluster() {
  [[ -s $REPOSITORY_SETTINGS ]] && ! { grep -qx "pg1-path=$(data_directory)" "$REPOSITORY_SETTINGS" &&
    grep -qx "pg1-port=$(postgres_port)" "$REPOSITORY_SETTINGS"; }
}

# pgBackRest keeps the backups of the cluster before; those of the new one begin with a full backup. The
# settings change last, so that an interrupted call is finished by the next.
_follow_cluster() {
  touch "$ARCHIVE_GAP"
  pgbackrest --pg1-path="$(data_directory)" --pg1-port="$(postgres_port)" stanza-upgrade
  (
    umask 077    # they hold a passphrase
    sed -e "s|^pg1-path=.*|pg1-path=$(data_directory)|" -e "s|^pg1-port=.*|pg1-port=$(postgres_port)|" \
      "$REPOSITORY_SETTINGS" >"$REPOSITORY_SETTINGS.new"
  )
  mv "$REPOSITORY_SETTINGS.new" "$REPOSITORY_SETTINGS"
}

make_archive() {
  [[ -s $BACKUP_KEY ]] || _make_backup_key
  make_secret backup.cluster
  [[ -s $REPOSITORY_SETTINGS ]] || _write_repository_settings
  chown -R --no-dereference postgres:postgres "$BACKUPS/cluster"    # as numbers, another host's users may be others
  if _has_repository && _is_of_another_cluster; then _follow_cluster; fi
  chown root:postgres "$REPOSITORY_SETTINGS"
  chmod 0640 "$REPOSITORY_SETTINGS"
  _has_repository && return 0
  pgbackrest stanza-create
  pgbackrest check
}

_make_backup_key() {
  rm -f "$BACKUP_KEY.new"
  (umask 077 && age-keygen -o "$BACKUP_KEY.new")
  mv "$BACKUP_KEY.new" "$BACKUP_KEY"
}

_write_repository_settings() (
  umask 077    # it holds a passphrase
  cat >"$REPOSITORY_SETTINGS.new" <<CONF
# pgBackRest's settings, made once and then yours.

[global]
repo1-path=$BACKUPS/cluster
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=$(<"$SECRETS/backup.cluster")
repo1-retention-full=$KEPT_FULL
repo1-bundle=y
compress-type=zst
start-fast=y
lock-path=/run/postgresql/pgbackrest
log-level-file=off

[quartet]
pg1-path=$(data_directory)
pg1-port=$(postgres_port)
CONF
  mv "$REPOSITORY_SETTINGS.new" "$REPOSITORY_SETTINGS"
)

has_backup() { [[ ! -e $ARCHIVE_GAP ]] && compgen -G "$BACKUPS/sets/*/SHA256SUMS" >/dev/null; }

# By the timer's unit, so that its confinement is tried as well.
make_backup() { systemctl start microservices-backup.service; }

# ---- which there are

# backups: LABEL TYPE FINISHED BYTES, one a line, the oldest first; FINISHED in seconds since 1970.
backups() { pgbackrest --output=json info | "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/list_backups.py"; }

newest_backup() { backups | tail -n 1 | cut -d ' ' -f 1; }

# backup_called NAME: nothing if there is none.
backup_called() { backups | awk -v name="$1" '$1 == name {print $1}'; }

# backup_before SECONDS: the newest that was finished by then.
backup_before() { backups | awk -v end="$1" '$3 <= end {found = $1} END {print found}'; }

# archive_all: what was committed until now can be restored, although its file of the log is not full.
archive_all() {
  as_superuser postgres --output=/dev/null <<<"SELECT txid_current();"    # so that a commit stands behind it
  pgbackrest --archive-timeout=30 check
}

# ---- encrypted files

# sealed FILE COMMAND...: what COMMAND writes, encrypted; FILE is there whole or not at all.
sealed() {
  "${@:2}" | age --encrypt --recipient "$(age-keygen -y "$BACKUP_KEY")" --output "$1.new"
  mv "$1.new" "$1"
}

# unsealed FILE: on standard output; fails if a byte of it was changed.
unsealed() { age --decrypt --identity "$BACKUP_KEY" "$1"; }

# ---- one service's database in a file

dump_name() { printf '%s-%s' "$1" "$(date --utc +%Y%m%d-%H%M%S)"; }

# dump_as_owner SERVICE: on standard output.
dump_as_owner() {
  PGPASSWORD=$(<"$SECRETS/$1.owner") as_postgres pg_dump --host="$CLUSTER" --port="$(postgres_port)" \
    --username="$1_owner" --no-password --format=custom "$1"
}

# dump_service SERVICE NAME
dump_service() {
  rm -f "$BACKUPS/dumps/$1"-*.new    # what a killed one has left
  sealed "$BACKUPS/dumps/$2.dump.age" dump_as_owner "$1"
  (cd "$BACKUPS/dumps" && sha256sum "$2.dump.age" >"$2.dump.age.sha256.new" && mv "$2.dump.age.sha256.new" "$2.dump.age.sha256")
  sync --file-system "$BACKUPS/dumps"
  _prune_dumps "$1"
}

_prune_dumps() {
  local file
  find "$BACKUPS/dumps" -name "$1-*.dump.age" | sort | head -n -"$KEPT_DUMPS" | while read -r file; do
    rm -f "$file" "$file.sha256"
  done
}

is_dump() { [[ -f $BACKUPS/dumps/$1.dump.age ]]; }

# ---- figures, alarms

# record FILE NAME VALUE...: as metrics. On a full disk rather none than an old one.
record() {
  local file=$BACKUPS/metrics/$1.prom
  shift
  if (umask 022 && printf '%s %s\n' "$@" >"$file.new"); then mv "$file.new" "$file"; else rm -f "$file" "$file.new"; fi
}

# alarm SENTENCE: into the journal, as an error.
alarm() { logger --priority daemon.err --tag "quartet-${0##*/}" -- "$*"; }
