# The virtual environment: locked packages, and uWSGI compiled for this Python.
# shellcheck shell=bash disable=SC2153

readonly REQUIREMENTS=$CHECKOUT/requirements
readonly IMPORTER_LOCK=$REQUIREMENTS/importer.txt
readonly SERVICE_LOCKS=("$REQUIREMENTS"/microservice{1,2,3,4}.txt "$IMPORTER_LOCK")
readonly SERVER_LOCKS=("$REQUIREMENTS"/{build,uwsgi}.txt)
readonly TEST_LOCKS=("$REQUIREMENTS/tests.txt")
readonly READ_ONLY_LINKS='-Wl,-z,relro,-z,now'    # where functions are is written once, at the start

venv_is_made=false    # known to be, once that was looked at

# find_venv: set VENV to the real folder, one that the run-time user can read.
find_venv() {
  if ((EUID == 0)) && ! code_is_readable; then link_to_state "$CHECKOUT/.venv"; fi
  VENV=$(readlink -f "$CHECKOUT/.venv")
}

has_venv() {
  $venv_is_made && return 0
  find_venv
  has_uwsgi && _is_stamped services "${SERVICE_LOCKS[@]}" && venv_is_made=true
}

ensure_venv() {
  if has_venv; then return; fi
  long_step "half a minute" "Python packages, uWSGI compiled" "look for the first error above; pip's own settings name the index it uses." \
    _one_at_a_time _install_service_packages
}

ensure_tests_venv() {
  _is_stamped tests "${TEST_LOCKS[@]}" && return 0
  long_step "a quarter of a minute" "Python packages of the tests" "look for the first error above; pip's own settings name the index it uses." \
    _one_at_a_time _install_test_packages
}

has_uwsgi() { _is_stamped uwsgi "${SERVER_LOCKS[@]}"; }

# Two stacks of one checkout share its venv.
_one_at_a_time() {
  local file
  file=$(lock_file "$REQUIREMENTS")
  (
    flock --timeout "$LOCK_WAIT_SECONDS" 8 || abort "another script has been installing packages for $LOCK_WAIT_SECONDS s: end it, and try again."
    "$@"
  ) 8>"$file"
}

_install_service_packages() {
  local compiler=''
  _make_venv
  if ! has_uwsgi; then
    _install_build_packages
    _compile_uwsgi &    # while the other packages are downloaded
    compiler=$!
  fi
  _pip install --only-binary :all: "${SERVICE_LOCKS[@]/#/--requirement=}"
  if [[ -n $compiler ]]; then
    wait "$compiler"
    _install_uwsgi
  fi
  _stamp services "${SERVICE_LOCKS[@]}"
}

_make_venv() {
  # one of another Python (the system was upgraded), or half of one, is made anew
  if [[ $("$VENV/bin/python" -VV 2>/dev/null) != "$("$SYSTEM_PYTHON" -VV)" ]] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    "$SYSTEM_PYTHON" -m venv --clear "$VENV"
  fi
}

_install_build_packages() { _pip install --only-binary :all: --requirement "$REQUIREMENTS/build.txt"; }

_install_uwsgi() {
  "$VENV/bin/python" -m pip install --quiet --no-index --no-deps --force-reinstall "$VENV"/wheels/uwsgi-*.whl
  _stamp uwsgi "${SERVER_LOCKS[@]}"
}

# Only what the services use, and barely optimised (its work is input and output): this compiles in
# less than half the time. It reads what strangers send, in C: its stack, its copies and its links to other
# functions are guarded. Never from pip's shared cache: a uWSGI that was linked to another Python
# starts, listens, and has no application.
_compile_uwsgi() {
  rm -rf "$VENV/wheels"
  local archive with_python hardened='-O1 -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2'
  archive=$("$VENV/bin/python" -c 'import sysconfig; print("/".join(sysconfig.get_config_vars("LIBPL", "LIBRARY")))')
  # Python as part of the program, as in Debian's own python3: from its shared library, uWSGI's
  # default, the same code runs a third slower. All of it, since C extensions find their symbols here.
  with_python="-no-pie -Wl,--whole-archive $archive -Wl,--no-whole-archive -lexpat -lz -ldl -lm"
  local -x LDFLAGS=$READ_ONLY_LINKS
  if _can_link "$with_python"; then
    local -x UWSGI_PYTHON_NOLIB=true
    LDFLAGS+=" $with_python"
  fi
  APPEND_CFLAGS=$hardened UWSGI_PROFILE_OVERRIDE='embedded_plugins=python;ssl=false;xml=false;json=false;yaml=embedded' \
    _pip wheel --use-pep517 --no-build-isolation --wheel-dir "$VENV/wheels" --requirement "$REQUIREMENTS/uwsgi.txt"
}

# is_hardened PROGRAM: was it compiled as above? One that was compiled before that was so is not.
is_hardened() { readelf --dynamic "$1" 2>/dev/null | grep BIND_NOW >/dev/null; }

# Not every Python has its archive, and that of Debian 13 is not whole.
_can_link() {
  # shellcheck disable=SC2086    # the words of one argument
  gcc -x c -o /dev/null - -x none $1 <<<'int main(void) { return 0; }' 2>/dev/null
}

_install_test_packages() {
  _pip install --only-binary :all: --requirement "$REQUIREMENTS/tests.txt"
  _stamp tests "${TEST_LOCKS[@]}"
}

# Exactly what is locked, with its hashes.
_pip() {
  local command=$1
  shift
  "$VENV/bin/python" -m pip --disable-pip-version-check --no-input --no-cache-dir "$command" \
    --quiet --require-hashes --no-deps "$@"
}

# One word for what a venv is made from: this Python and these locks.
_made_from() { { "$SYSTEM_PYTHON" -VV; cat "$@"; } | hash_of; }

_stamp() {
  local name=$1
  shift
  _made_from "$@" >"$VENV/$name.stamp"
}

_is_stamped() {
  local name=$1
  shift
  [[ -x $VENV/bin/python && $(cat "$VENV/$name.stamp" 2>/dev/null) == "$(_made_from "$@")" ]]
}
