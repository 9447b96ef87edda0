# shellcheck shell=bash
# Packages of other Debian releases than this machine's, or of Ubuntu's, to be sourced by what defines `die`: apt then fetches with
# folders of its own and checks the signatures of the index, with the keyring this machine trusts unless another is named. Nothing of
# this machine's packages or apt changes. That an index is recent is not asked for: old programs are wanted, so none is kept from us.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# use_release DIR SUITE [KEYRING ARCHIVE COMPONENT…]: from now on apt knows the packages of that release alone, and keeps what it
# needs in DIR.
use_release() {
  local keyring=${3:-$KEYRING} archive=${4:-http://deb.debian.org/debian} components=${*:5}
  [[ -r $keyring ]] || die "no $keyring (apt-get install debian-archive-keyring)"
  mkdir -p "$1"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial,debs}
  : >"$1/state/status"
  echo "deb [signed-by=$keyring] $archive $2 ${components:-main}" >"$1/etc/sources.list"
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
Acquire::Check-Valid-Until "false";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "root";
END
  export APT_CONFIG=$1/apt.conf
  # apt-get takes what it could not fetch for a warning, unless told otherwise.
  apt-get -qq -o APT::Update::Error-Mode=any update >&2 || die "cannot fetch the index of $2 from $archive"
}
