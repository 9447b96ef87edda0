#include "probe/mask.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace weft::probe {
namespace {

constexpr std::array<std::string_view, 9> kSecretWords{"password",
                                                       "passwd",
                                                       "passphrase",
                                                       "secret",
                                                       "token",
                                                       "api-key",
                                                       "apikey",
                                                       "credential",
                                                       "private-key"};
constexpr std::array<std::string_view, 4> kPlaceWords{"file", "path", "dir", "length"};

// scheme://user:password@host: the part between colon and at sign.
std::string mask_url(std::string word) {
  const std::size_t scheme = word.find("://");
  if (scheme == std::string::npos) {
    return word;
  }
  const std::size_t start = scheme + 3;
  const std::size_t end = word.find('@', start);
  const std::size_t colon = word.find(':', start);
  const bool has_password = end != std::string::npos && colon < end && word.find('/', start) > end;
  if (has_password) {
    word.replace(colon + 1, end - colon - 1, kMasked);
  }
  return word;
}

}  // namespace

bool is_secret_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return c == '_' || c == '.' ? '-' : static_cast<char>(std::tolower(c));
  });
  const bool is_place = std::any_of(kPlaceWords.begin(),
                                    kPlaceWords.end(),
                                    [&](std::string_view word) { return lower.ends_with(word); });
  return !is_place
         && std::any_of(kSecretWords.begin(), kSecretWords.end(), [&](std::string_view word) {
              return lower.find(word) != std::string::npos;
            });
}

std::string mask_command(std::string_view command) {
  std::string masked;
  bool is_value = false;  // The word before this one announced a secret.
  while (!command.empty()) {
    const std::size_t end = std::min(command.find(' '), command.size());
    const std::string_view word = command.substr(0, end);
    const std::size_t equals = word.find('=');
    if (is_value && !word.empty() && !word.starts_with('-')) {
      masked += kMasked;
      is_value = false;
    } else if (equals != std::string_view::npos && is_secret_name(word.substr(0, equals))) {
      masked.append(word.substr(0, equals + 1)).append(kMasked);
      is_value = false;
    } else {
      masked += mask_url(std::string(word));
      is_value = word.starts_with("--") && equals == std::string_view::npos && is_secret_name(word);
    }
    command.remove_prefix(end);
    if (!command.empty()) {
      masked += ' ';
      command.remove_prefix(1);
    }
  }
  return masked;
}

}  // namespace weft::probe
