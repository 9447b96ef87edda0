#include "sys/tls/certificate.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

constexpr long kLifeSeconds = 10L * 365 * 24 * 3600;

// Clocks of clients may be behind.
constexpr long kBackdateSeconds = 24L * 3600;

// A chain of ten certificates with long names has room.
constexpr std::size_t kFileMax = 256 * 1024;

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  void operator()(BIGNUM* p) const { BN_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Error failed(const char* what) {
  return Error{Errc::Os, fmt::format("{}: OpenSSL refuses", what)};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || text.empty() || text.size() > kFileMax) {
    const int error = file.is_open() ? EINVAL : errno;
    return Error{Errc::Os, fmt::format("read {}: {}", path, std::strerror(error)), error};
  }
  return text;
}

Owned<BIO> memory_of(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO& memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<std::string> fingerprint_of(X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &size) != 1) {
    return failed("fingerprint");
  }
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += fmt::format("{}{:02X}", i == 0 ? "" : ":", digest.at(i));
  }
  return text;
}

namespace {

Result<Certificate> check(std::string chain, std::string key) {
  const Owned<X509> certificate(
      PEM_read_bio_X509(memory_of(chain).get(), nullptr, nullptr, nullptr));
  if (!certificate) {
    return Error{Errc::Invalid, "no certificate in PEM"};
  }
  // A passphrase would be asked for on the terminal: the empty one is tried instead.
  std::array<char, 1> no_passphrase{};
  const Owned<EVP_PKEY> secret(
      PEM_read_bio_PrivateKey(memory_of(key).get(), nullptr, nullptr, no_passphrase.data()));
  if (!secret) {
    return Error{Errc::Invalid, "no unencrypted private key in PEM"};
  }
  if (X509_check_private_key(certificate.get(), secret.get()) != 1) {
    return Error{Errc::Invalid, "the private key is not the certificate's"};
  }
  std::string fingerprint = WEFT_TRY(fingerprint_of(*certificate));
  return Certificate{
      .chain = std::move(chain), .key = std::move(key), .fingerprint = std::move(fingerprint)};
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text +=
        fmt::format("{}{}:{}", text.empty() ? "" : ",", Ip::parse(name).ok() ? "IP" : "DNS", name);
  }
  return text;
}

Result<Ok> add_extension(X509& certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  if (!extension || X509_add_ext(&certificate, extension.get(), -1) != 1) {
    return failed("extension of a certificate");
  }
  return Ok{};
}

Result<Ok> fill(X509& certificate, EVP_PKEY& key, const std::vector<std::string>& names) {
  constexpr int kSerialBits = 127;  // Positive, and of at most 20 octets (RFC 5280, 4.1.2.2).
  const Owned<BIGNUM> serial(BN_new());
  const bool is_numbered =
      serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1
      && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(&certificate)) != nullptr;
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const auto* const common = reinterpret_cast<const unsigned char*>("weft");
  const bool is_filled =
      is_numbered && X509_set_version(&certificate, X509_VERSION_3) == 1
      && X509_gmtime_adj(X509_getm_notBefore(&certificate), -kBackdateSeconds) != nullptr
      && X509_gmtime_adj(X509_getm_notAfter(&certificate), kLifeSeconds) != nullptr
      && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, common, -1, -1, 0) == 1
      && X509_set_issuer_name(&certificate, subject) == 1
      && X509_set_pubkey(&certificate, &key) == 1;
  if (!is_filled) {
    return failed("make a certificate");
  }
  WEFT_TRY(add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE"));
  WEFT_TRY(add_extension(certificate, NID_ext_key_usage, "serverAuth"));
  WEFT_TRY(add_extension(certificate, NID_subject_alt_name, alternative_names(names)));
  if (X509_sign(&certificate, &key, EVP_sha256()) == 0) {
    return failed("sign a certificate");
  }
  return Ok{};
}

Result<Certificate> make_certificate(const std::vector<std::string>& names) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  if (!key || !certificate) {
    return failed("make a key");
  }
  WEFT_TRY(fill(*certificate, *key, names));
  const Owned<BIO> chain(BIO_new(BIO_s_mem()));
  const Owned<BIO> secret(BIO_new(BIO_s_mem()));
  const bool is_written =
      PEM_write_bio_X509(chain.get(), certificate.get()) == 1
      && PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr)
             == 1;
  if (!is_written) {
    return failed("write a certificate");
  }
  return check(text_of(*chain), text_of(*secret));
}

// The owner's alone, and whole or not at all.
Result<Ok> write_file(const std::string& path, const std::string& text) {
  const std::string next = path + ".new";
  const Descriptor file(
      ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
  const bool is_written =
      file.get() >= 0
      && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())
      && ::fsync(file.get()) == 0 && ::rename(next.c_str(), path.c_str()) == 0;
  if (!is_written) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("write {}: {}", path, std::strerror(error)), error};
  }
  return Ok{};
}

}  // namespace

Result<Certificate> load_certificate(const std::string& chain_path, const std::string& key_path) {
  std::string chain = WEFT_TRY(read_file(chain_path));
  std::string key = WEFT_TRY(read_file(key_path));
  auto certificate = check(std::move(chain), std::move(key));
  if (!certificate.ok()) {
    return Error(certificate.error()).with_context(fmt::format("{}, {}", chain_path, key_path));
  }
  return certificate;
}

Result<Certificate> ensure_certificate(const std::string& folder,
                                       const std::vector<std::string>& names) {
  const std::string chain_path = folder + "/tls-cert.pem";
  const std::string key_path = folder + "/tls-key.pem";
  if (std::filesystem::exists(chain_path) && std::filesystem::exists(key_path)) {
    return load_certificate(chain_path, key_path);
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  Certificate certificate = WEFT_TRY(make_certificate(names));
  WEFT_TRY(write_file(key_path, certificate.key));
  WEFT_TRY(write_file(chain_path, certificate.chain));
  return certificate;
}

}  // namespace weft::sys
