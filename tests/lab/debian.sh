# shellcheck shell=bash
# Packages of other Debian releases than this machine's, to be sourced by what defines `die`: apt then fetches with folders of its
# own and checks the signatures of Debian's index with the keyring this machine trusts. Nothing of this machine's packages or
# apt changes.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# use_release DIR SUITE: from now on apt knows the packages of that release alone, and keeps what it needs in DIR.
use_release() {
  [[ -r $KEYRING ]] || die "no $KEYRING (apt-get install debian-archive-keyring)"
  mkdir -p "$1"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial,debs}
  : >"$1/state/status"
  echo "deb [signed-by=$KEYRING] http://deb.debian.org/debian $2 main" >"$1/etc/sources.list"
  # Instead of this machine's configuration, of which only the way out (a proxy) is kept.
  apt-config dump | grep '^Acquire::[a-z]*::Proxy' >"$1/apt.conf" || true
  cat >>"$1/apt.conf" <<END
Dir "$1";
Dir::Etc "etc";
Dir::Etc::sourcelist "sources.list";
Dir::State "state";
Dir::State::status "state/status";
Dir::Cache "cache";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "root";
END
  export APT_CONFIG=$1/apt.conf
  # apt-get takes what it could not fetch for a warning, unless told otherwise.
  apt-get -qq -o APT::Update::Error-Mode=any update >&2 || die "cannot fetch Debian's index of $2"
}
