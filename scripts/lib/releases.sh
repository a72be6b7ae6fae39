# Releases of a service: built from a commit, complete or not there at all, never changed afterwards.
# shellcheck shell=bash disable=SC2153
#
#   /opt/www/microserviceN/releases/<id>/    chassis/, microserviceN/, venv/, packages -> venv/.../site-packages
#   /opt/www/microserviceN/current           -> releases/<id>, what runs
#   /opt/www/microserviceN/previous          -> releases/<id>, what ran before it
#
#   /opt/www/microserviceN/proven            -> releases/<id>, only while a newer one is tried under load
#   /opt/www/microserviceN/deployments       a line for each deployment: see record_deployment
#
# Who finds `proven` knows that the last deployment has not come to its end, and where to go back to.
# An id is the commit's date and name, so the same commit is the same release wherever it is built.

readonly KEPT_RELEASES=5

_git() { git -c safe.directory="$CHECKOUT" -C "$CHECKOUT" "$@"; }

# release_of REVISION: the id that a release of it has.
release_of() {
  local seconds
  seconds=$(_git show --no-patch --format=%ct "$1^{commit}" -- 2>/dev/null) || abort "$1 is no commit of $CHECKOUT."
  printf '%s-%s' "$(date --utc --date="@$seconds" +%Y%m%d-%H%M%S)" "$(_git rev-parse --short=10 "$1^{commit}")"
}

# subject_of RELEASE: the first line of its commit's message, or nothing if this checkout lacks the commit.
subject_of() { _git show --no-patch --format=%s "${1##*-}^{commit}" -- 2>/dev/null || true; }

# say_uncommitted RELEASE SERVICE...: name the files of these services that no release has, because the edits
# are not committed.
say_uncommitted() {
  local release=$1 service paths=(VERSION chassis) edited
  for service in "${@:2}"; do paths+=("$service" "requirements/$service.txt"); done
  edited=$(_git --no-optional-locks status --porcelain --untracked-files=all -- "${paths[@]}")
  [[ -n $edited ]] || return 0
  say "Edits in $CHECKOUT that are not committed are not part of $release:"
  say "$(head -n 10 <<<"$edited" | sed 's/^/  /')"
  if (($(wc -l <<<"$edited") > 10)); then say "  and more: git status"; fi
}

# current_release SERVICE, and so on: an id, or nothing.
current_release() { _linked "$WWW/$1/current"; }
previous_release() { _linked "$WWW/$1/previous"; }
proven_release() { _linked "$WWW/$1/proven"; }

is_unproven() { [[ -L $WWW/$1/proven ]]; }

_linked() { [[ ! -L $1 ]] || basename "$(readlink "$1")"; }

# releases_of SERVICE: the ids of all that are built, the oldest first.
releases_of() {
  local folder
  for folder in "$WWW/$1/releases"/*/; do
    folder=${folder%/}
    if [[ -d $folder && $folder != *.new ]]; then printf '%s\n' "${folder##*/}"; fi
  done
}

has_release() { [[ -d $WWW/$1/releases/$2 ]]; }

# is_for_this_python SERVICE RELEASE: an upgrade of Debian brings another, which does not see its packages.
is_for_this_python() { [[ -d $WWW/$1/releases/$2/venv/lib/$(basename "$(readlink -f "$SYSTEM_PYTHON")") ]]; }

# point SERVICE LINK RELEASE: by one rename, so there is no moment without a release.
point() {
  ln -sfnT "releases/$3" "$WWW/$1/$2.new"
  mv -T "$WWW/$1/$2.new" "$WWW/$1/$2"
}

# ---- what became of them
#
# Each line of `deployments` has five fields with tabs between them: seconds since 1970, what happened, release,
# operator, subject of the commit. The file is root's, and lies in a folder of root.

# record_deployment SERVICE WHAT RELEASE: WHAT is installed, deployed, refused, thrown back, left or returned to.
# It never fails: on a full disk, returning to the release before matters more than the record.
record_deployment() {
  local operator=${SUDO_USER:-} subject
  if [[ -z $operator ]]; then operator=$(logname 2>/dev/null || id -un); fi
  subject=$(subject_of "$3" | tr -d '[:cntrl:]')
  printf '%s\t%s\t%s\t%s\t%s\n' "$(date +%s)" "$2" "$3" "${operator//[[:cntrl:]]/}" "${subject:0:100}" \
    >>"$WWW/$1/deployments" || warn "What became of $3 could not be recorded in $WWW/$1/deployments."
}

# last_deployment SERVICE RELEASE: the newest line of that release, or nothing.
last_deployment() { awk -F '\t' -v release="$2" '$3 == release {found = $0} END {print found}' "$WWW/$1/deployments" 2>/dev/null || true; }

# version_of SERVICE RELEASE: the version of Quartet that it is, or nothing if it is older than versions.
version_of() { cat "$WWW/$1/releases/$2/VERSION" 2>/dev/null || true; }

# running_versions: the versions of the releases that run, one a line; usually there is one.
running_versions() {
  local service
  for service in "${SERVICES[@]}"; do version_of "$service" "$(current_release "$service")"; done | sort -uV
}

# ---- building

# build_release SERVICE REVISION RELEASE
build_release() {
  local service=$1 folder=$WWW/$1/releases/$3 version
  is_for_this_python "$1" "$3" && return 0
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  version=$(_git ls-tree --name-only "$2" VERSION)    # nothing in a commit from before there were versions
  # shellcheck disable=SC2086    # a word, or none
  _git archive "$2" chassis "$service" "requirements/$service.txt" $version | tar -C "$folder.new" --no-same-owner -xf -
  _make_environment "$folder.new" "requirements/$service.txt"
  "$SYSTEM_PYTHON" -m compileall -q "$folder.new/chassis" "$folder.new/$service"
  sync --file-system "$folder.new"
  if [[ -d $folder ]]; then mv -T "$folder" "$folder.old.new"; fi
  mv -T "$folder.new" "$folder"
  rm -rf "$folder.old.new"
}

# A venv with the locked packages. Another release with the same lock and Python has the same one: then
# its files are linked, which needs neither time nor the network.
_make_environment() {
  local folder=$1 lock=$1/$2 stamp twin
  stamp=$(_made_from "$lock")
  twin=$(_environment_stamped "$stamp")
  if [[ -n $twin ]]; then
    cp -a --link "$twin" "$folder/venv"
  else
    make_locked_venv "$folder/venv" "$lock"
  fi
  (cd "$folder" && ln -sfn venv/lib/python3.*/site-packages packages)
}

# make_locked_venv FOLDER LOCK: with the packages of LOCK and nothing else, not even pip.
make_locked_venv() {
  "$SYSTEM_PYTHON" -m venv --without-pip "$1"
  "$VENV/bin/python" -m pip --python "$1/bin/python" --disable-pip-version-check --no-input \
    --no-cache-dir install --quiet --require-hashes --no-deps --only-binary :all: --requirement "$2"
  _made_from "$2" >"$1/stamp"
}

_environment_stamped() {
  local file
  for file in "$WWW"/*/releases/*/venv/stamp; do
    if [[ -e $file && $file != *.new/* && $(<"$file") == "$1" ]]; then
      printf '%s' "${file%/stamp}"
      return
    fi
  done
}

# prune_releases SERVICE: keep the newest ones, and those that a link leads to.
prune_releases() {
  local release
  rm -rf "$WWW/$1/releases"/*.new
  for release in $(releases_of "$1" | head -n -"$KEPT_RELEASES"); do
    if [[ $release != "$(current_release "$1")" && $release != "$(previous_release "$1")" ]]; then
      mv -T "$WWW/$1/releases/$release" "$WWW/$1/releases/$release.new"    # half of one is none
      rm -rf "$WWW/$1/releases/$release.new"
    fi
  done
}
