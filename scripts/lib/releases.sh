# Releases of a service: built from a commit, complete or not there at all, never changed afterwards.
# shellcheck shell=bash disable=SC2153
#
#   /opt/www/microserviceN/releases/<id>/    chassis/, microserviceN/, venv/, packages -> venv/.../site-packages
#   /opt/www/microserviceN/current           -> releases/<id>, what runs
#   /opt/www/microserviceN/previous          -> releases/<id>, what ran before it
#
#   /opt/www/microserviceN/proven            -> releases/<id>, only while a newer one is tried under load
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

# ---- building

# build_release SERVICE REVISION RELEASE
build_release() {
  local service=$1 folder=$WWW/$1/releases/$3
  is_for_this_python "$1" "$3" && return 0
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  _git archive "$2" chassis "$service" "requirements/$service.txt" | tar -C "$folder.new" --no-same-owner -xf -
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
    "$SYSTEM_PYTHON" -m venv --without-pip "$folder/venv"
    "$VENV/bin/python" -m pip --python "$folder/venv/bin/python" --disable-pip-version-check --no-input \
      --no-cache-dir install --quiet --require-hashes --no-deps --only-binary :all: --requirement "$lock"
    printf '%s\n' "$stamp" >"$folder/venv/stamp"
  fi
  (cd "$folder" && ln -sfn venv/lib/python3.*/site-packages packages)
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
