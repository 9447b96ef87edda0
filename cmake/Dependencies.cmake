# Every outside library, found once, under one name. Nothing is downloaded or vendored; `./run setup`
# installs these from the distribution.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(Boost 1.81 REQUIRED COMPONENTS json)

pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libnl REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(libmnl REQUIRED IMPORTED_TARGET libmnl)
pkg_check_modules(libnftnl REQUIRED IMPORTED_TARGET libnftnl)
pkg_check_modules(libbpf REQUIRED IMPORTED_TARGET libbpf)

pkg_check_modules(libcrypto REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(libssl REQUIRED IMPORTED_TARGET libssl>=3.0)

# x86 only, and without a pkg-config file on Debian. Without it OpenSSL does the work.
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
find_library(IPSEC_MB_LIBRARY IPSec_MB)
if(IPSEC_MB_INCLUDE AND IPSEC_MB_LIBRARY)
  add_library(weft_ipsec_mb INTERFACE)
  target_include_directories(weft_ipsec_mb SYSTEM INTERFACE ${IPSEC_MB_INCLUDE})
  target_link_libraries(weft_ipsec_mb INTERFACE ${IPSEC_MB_LIBRARY})
  target_compile_definitions(weft_ipsec_mb INTERFACE WEFT_HAS_IPSEC_MB)
endif()

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()
