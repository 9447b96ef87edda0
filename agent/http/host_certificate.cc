#include "agent/http/host_certificate.h"

namespace weft::agent {

Result<sys::Certificate> host_certificate(const Config& config,
                                          const CertificateFiles& files,
                                          const Ip& listen) {
  return files.chain.empty() ? sys::ensure_certificate(
             config.state_dir,
             {config.nickname, "localhost", "127.0.0.1", "::1", listen.to_string()})
                             : sys::load_certificate(files.chain, files.key);
}

}  // namespace weft::agent
