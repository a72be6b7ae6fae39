# The steps of a restore. Each is safe to be interrupted: what takes a place does so by renaming, and
# what was there stays.
# shellcheck shell=bash disable=SC2153,SC2154    # stamp is of scripts/restore

readonly FORGOTTEN_IDS=1000000    # that a restored database leaves out, of versions too: see skip_ids

# ---- the whole cluster

# restore_files FOLDER RESTORE-OPTION...: pgBackRest compares each file with the checksum of its backup.
# They will stand where the live ones do, so that is where the log is brought to.
restore_files() {
  local command="pgbackrest --config=$REPOSITORY_SETTINGS --stanza=quartet archive-get %f \"%p\""
  as_postgres rm -rf "$1"
  as_postgres mkdir -m 0700 "$1"
  pgbackrest --pg1-path="$1" --recovery-option="restore_command=$command" "${@:2}" restore
}

cluster_unit() { printf 'postgresql@%s-main' "$(postgres_version)"; }

# exchange DATA KEPT: DATA.restored takes the place of DATA. Fails if PostgreSQL does not get to the target.
exchange() {
  systemctl stop "$(cluster_unit)"
  if [[ -d $1 ]]; then as_postgres mv -T "$1" "$2"; fi
  as_postgres mv -T "$1.restored" "$1"
  systemctl start "$(cluster_unit)"
  wait_until 7200 _has_come_to_an_end
  _has_recovered
}

_has_recovered() { [[ $(as_superuser postgres --tuples-only --no-align <<<"SELECT pg_is_in_recovery();" 2>/dev/null) == f ]]; }

_has_come_to_an_end() { _has_recovered || (($(systemctl show --property=NRestarts --value "$(cluster_unit)") > 0)); }

exchange_back() {
  systemctl stop "$(cluster_unit)"
  systemctl reset-failed "$(cluster_unit)"
  as_postgres mv -T "$1" "$1.restored"
  as_postgres mv -T "$2" "$1"
  as_postgres rm -rf "$1.restored"
  systemctl start "$(cluster_unit)"
}

# bring_back FOLDER [as_postgres]: what an exchange that was killed between its two renamings has left nowhere.
bring_back() {
  local kept
  kept=$(find "$(dirname "$1")" -maxdepth 1 -name "$(basename "$1").before_*" | sort | tail -n 1)
  if [[ ! -d $1 && -n $kept ]]; then "${@:2}" mv -T "$kept" "$1"; fi
}

# bring_up_to_date: what the host has made since, and the moment that was gone back to did not know.
bring_up_to_date() {
  local one
  make_databases
  for one in "${SERVICES[@]}"; do skip_ids "$one" "$one"; done
  for one in "${SERVICES[@]}"; do migrate "$one"; done
  for one in "${SERVICES[@]}"; do raise_versions "$one" "$FORGOTTEN_IDS"; done
}

# skip_ids SERVICE DATABASE: tokens, e-mails, and the other services may speak of what it has forgotten; so no
# number that was given out may be given out again.
skip_ids() {
  as_owner "$1" "$2" --output=/dev/null <<SQL
SELECT format('SELECT setval(%L, %s)', seqrelid::regclass, coalesce(pg_sequence_last_value(seqrelid), 0) + $FORGOTTEN_IDS)
  FROM pg_sequence \\gexec
SQL
}

# All at once: the shop is closed meanwhile. systemd tries again what does not start; what counts is that all
# become ready.
stop_all() { _with_units_of_all stop; }

start_all() {
  _with_units_of_all start || true
  wait_until 60 all_are_ready
}

_with_units_of_all() {
  local one units=()
  for one in "${SERVICES[@]}"; do mapfile -t -O "${#units[@]}" units < <(units_of "$one"); done
  systemctl "$1" "${units[@]}"
}

# _set_until BACKUP: what goes with it, or the newest before; one that was killed may have none.
_set_until() { (cd "$BACKUPS/sets" && printf '%s\n' */SHA256SUMS) | sed 's|/.*||' | sort | awk -v last="$1" '$1 <= last {found = $1} END {print found}'; }

# put_images_back BACKUP: those that are gone. A product that has an image keeps it, for it may be newer than
# the backup, and nothing tells which of two formats to show.
put_images_back() {
  local set sum name names=() damaged=0
  set=$BACKUPS/sets/$(_set_until "$1")
  while read -r sum name; do
    if compgen -G "$IMAGES/${name%.*}.*" >/dev/null; then continue; fi
    if [[ $(sha256sum <"$set/images/$name") == "$sum  -" ]]; then
      names+=("$name")
    else
      echo "$set/images/$name is damaged"
      damaged=1
    fi
  done < <(sed -n 's#  \./images/\([^/]*\)$# \1#p' "$set/SHA256SUMS")
  if ((${#names[@]})); then
    printf '%s\0' "${names[@]}" | tar -C "$set/images" --null --files-from=- -c | _take_images
  fi
  return "$damaged"
}

# By their keeper, for the folder is its own: whole, or not at all, and for Nginx to read.
# shellcheck disable=SC2016    # expanded by the inner shell
_take_images() {
  as_user "$IMAGE_KEEPER" sh -ec '
    umask 022
    mkdir -p "$1"
    cd "$1"
    rm -rf .restored
    mkdir .restored
    tar -C .restored -x
    find .restored -type f -exec chmod 0644 {} + -exec mv -t . {} +
    rm -r .restored' _ "$IMAGES"
}

# ---- one service

# load_from_beside SERVICE: its database, out of the cluster that was brought to life, into the live one.
load_from_beside() {
  _new_database "$1"
  be_owned_beside "$1"
  beside dump_as_owner "$1" | _load "$1"
}

check_dump() { (cd "$BACKUPS/dumps" && sha256sum --check "$1.dump.age.sha256") && unsealed "$BACKUPS/dumps/$1.dump.age" >/dev/null; }

# load_dump NAME
load_dump() {
  _new_database "${1%%-*}"
  unsealed "$BACKUPS/dumps/$1.dump.age" | _load "${1%%-*}"
}

_new_database() {
  as_superuser postgres <<SQL
DROP DATABASE IF EXISTS $1_restored WITH (FORCE);
$(creation_of "$1_restored" "$1")
SQL
}

# All of it belongs to the owner who loads it, as it may not have when it was dumped; migrations give the service
# its rights.
_load() {
  PGPASSWORD=$(<"$SECRETS/$1.owner") as_postgres pg_restore --host="$CLUSTER" --port="$(postgres_port)" \
    --username="$1_owner" --no-password --no-owner --no-privileges --dbname="$1_restored" --exit-on-error --single-transaction
  skip_ids "$1" "$1_restored"
}

# take_place SERVICE: both renamings or none.
take_place() {
  as_superuser postgres --output=/dev/null <<SQL
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$1';
SELECT EXISTS (SELECT FROM pg_database WHERE datname = '$1') AS is_there \\gset
BEGIN;
\\if :is_there
ALTER DATABASE $1 RENAME TO $1_before_$stamp;
\\endif
ALTER DATABASE $1_restored RENAME TO $1;
COMMIT;
SQL
}

# ---- settings

# put_settings_back FILE: the key that opened it is not in it, and stays.
put_settings_back() {
  local new=$SETTINGS.restored
  rm -rf "$new"
  mkdir -m 0700 "$new"
  unsealed "$1" | tar -C "$new" --strip-components=2 -x
  cp --preserve "$BACKUP_KEY" "$new/secrets/"
  _own_settings "$new"
  chmod 0755 "$new"
  mv -T "$SETTINGS" "$SETTINGS.before_$stamp"
  mv -T "$new" "$SETTINGS"
}

# Users have other numbers on another host, or are not there yet.
_own_settings() {
  local one
  chown -R root:root "$1"
  for one in "${SERVICES[@]}"; do
    if getent group "$one" >/dev/null; then chgrp "$one" "$1/$one.env"; fi
  done
  if getent group postgres >/dev/null; then chgrp postgres "$1/${REPOSITORY_SETTINGS##*/}"; fi
  if getent group www-data >/dev/null && [[ -d $1/tls ]]; then chgrp -R www-data "$1/tls"; fi
}
