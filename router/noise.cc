#include "router/noise.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sodium.h>

#include "base/assert.h"

namespace weft::router::noise {

static_assert(kKeySize == crypto_scalarmult_BYTES);
static_assert(kKeySize == crypto_hash_sha256_BYTES);
static_assert(kKeySize == crypto_aead_chacha20poly1305_ietf_KEYBYTES);
static_assert(kTagSize == crypto_aead_chacha20poly1305_ietf_ABYTES);

namespace {

// Section 8: pattern and modifiers, then the functions.
std::string protocol_name(const HandshakeState::Options& options) {
  if (options.pattern == Pattern::Ik) {
    return "Noise_IKpsk2_25519_ChaChaPoly_SHA256";
  }
  const std::string_view modifiers = options.psk0 && options.psk3 ? "psk0+psk3"
                                     : options.psk0               ? "psk0"
                                     : options.psk3               ? "psk3"
                                                                  : "";
  return fmt::format("Noise_XX{}_25519_ChaChaPoly_SHA256", modifiers);
}

// Section 5.1: the highest nonce is kept for REKEY.
constexpr std::uint64_t kNonceReserved = std::numeric_limits<std::uint64_t>::max();

using CipherNonce = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

// Section 12.3: 32 bits of zeros, then the nonce in little-endian order.
CipherNonce cipher_nonce(std::uint64_t nonce) {
  CipherNonce out{};
  for (std::size_t i = 0; i < sizeof nonce; ++i) {
    out[4 + i] = static_cast<std::uint8_t>(nonce >> (8 * i));
  }
  return out;
}

// HMAC-SHA256 of up to two pieces under `key`.
Secret hmac(const Secret& key, ByteView first, ByteView second = {}) {
  Secret out;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.bytes().data(), key.bytes().size());
  crypto_auth_hmacsha256_update(&state, first.data(), first.size());
  crypto_auth_hmacsha256_update(&state, second.data(), second.size());
  crypto_auth_hmacsha256_final(&state, out.bytes().data());
  sodium_memzero(&state, sizeof state);
  return out;
}

// Section 4.3: HKDF. Callers with num_outputs = 2 ignore the third.
std::array<Secret, 3> hkdf(const Secret& chaining_key, ByteView input) {
  const Secret temp_key = hmac(chaining_key, input);
  const std::array<std::uint8_t, 3> counters{1, 2, 3};
  const auto counter = [&](std::size_t i) { return ByteView(counters).subspan(i, 1); };
  const Secret first = hmac(temp_key, counter(0));
  const Secret second = hmac(temp_key, first.bytes(), counter(1));
  const Secret third = hmac(temp_key, second.bytes(), counter(2));
  return {first, second, third};
}

}  // namespace

// CipherState ---------------------------------------------------------------------------------

Result<Ok> CipherState::encrypt(ByteView ad, ByteView plaintext, Bytes& out) {
  if (!has_key()) {
    out.insert(out.end(), plaintext.begin(), plaintext.end());
    return Ok{};
  }
  if (nonce_ == kNonceReserved) {
    return Error{Errc::Exhausted, "no nonce is left under this key"};
  }
  const std::size_t before = out.size();
  out.resize(before + plaintext.size() + kTagSize);
  const CipherNonce nonce = cipher_nonce(nonce_);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data() + before,
                                            nullptr,
                                            plaintext.data(),
                                            plaintext.size(),
                                            ad.data(),
                                            ad.size(),
                                            nullptr,
                                            nonce.data(),
                                            key_->bytes().data());
  ++nonce_;
  return Ok{};
}

Result<Ok> CipherState::decrypt(ByteView ad, ByteView ciphertext, Bytes& out) {
  if (!has_key()) {
    out.insert(out.end(), ciphertext.begin(), ciphertext.end());
    return Ok{};
  }
  if (nonce_ == kNonceReserved) {
    return Error{Errc::Exhausted, "no nonce is left under this key"};
  }
  if (ciphertext.size() < kTagSize) {
    return Error{
        Errc::Invalid,
        fmt::format("sealed text of {} bytes (at least {} expected)", ciphertext.size(), kTagSize)};
  }
  const std::size_t before = out.size();
  out.resize(before + ciphertext.size() - kTagSize);
  const CipherNonce nonce = cipher_nonce(nonce_);
  const int failed = crypto_aead_chacha20poly1305_ietf_decrypt(out.data() + before,
                                                               nullptr,
                                                               nullptr,
                                                               ciphertext.data(),
                                                               ciphertext.size(),
                                                               ad.data(),
                                                               ad.size(),
                                                               nonce.data(),
                                                               key_->bytes().data());
  if (failed != 0) {
    out.resize(before);
    return Error{Errc::Denied, "sealed text does not authenticate"};
  }
  ++nonce_;
  return Ok{};
}

const Secret& CipherState::key() const {
  WEFT_ASSERT(has_key());
  return *key_;
}

void CipherState::rekey() {
  WEFT_ASSERT(has_key());
  const std::array<std::uint8_t, kKeySize> zeros{};
  const CipherNonce nonce = cipher_nonce(kNonceReserved);
  std::array<std::uint8_t, kKeySize + kTagSize> sealed{};
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(),
                                            nullptr,
                                            zeros.data(),
                                            zeros.size(),
                                            nullptr,
                                            0,
                                            nullptr,
                                            nonce.data(),
                                            key_->bytes().data());
  std::copy_n(sealed.begin(), kKeySize, key_->bytes().begin());
  sodium_memzero(sealed.data(), sealed.size());
}

// SymmetricState ------------------------------------------------------------------------------

SymmetricState::SymmetricState(ByteView protocol_name) {
  if (protocol_name.size() <= hash_.size()) {
    std::copy(protocol_name.begin(), protocol_name.end(), hash_.begin());
  } else {
    crypto_hash_sha256(hash_.data(), protocol_name.data(), protocol_name.size());
  }
  chaining_key_ = Secret(hash_);
}

void SymmetricState::mix_key(ByteView input) {
  const std::array<Secret, 3> keys = hkdf(chaining_key_, input);
  chaining_key_ = keys[0];
  cipher_ = CipherState(keys[1]);
}

void SymmetricState::mix_hash(ByteView data) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, hash_.data(), hash_.size());
  crypto_hash_sha256_update(&state, data.data(), data.size());
  crypto_hash_sha256_final(&state, hash_.data());
}

void SymmetricState::mix_key_and_hash(ByteView input) {
  const std::array<Secret, 3> keys = hkdf(chaining_key_, input);
  chaining_key_ = keys[0];
  mix_hash(keys[1].bytes());
  cipher_ = CipherState(keys[2]);
}

Result<Ok> SymmetricState::encrypt_and_hash(ByteView plaintext, Bytes& out) {
  const std::size_t before = out.size();
  WEFT_TRY(cipher_.encrypt(hash_, plaintext, out));
  mix_hash(ByteView(out).subspan(before));
  return Ok{};
}

Result<Ok> SymmetricState::decrypt_and_hash(ByteView ciphertext, Bytes& out) {
  WEFT_TRY(cipher_.decrypt(hash_, ciphertext, out));
  mix_hash(ciphertext);
  return Ok{};
}

SymmetricState::Split SymmetricState::split() const {
  const std::array<Secret, 3> keys = hkdf(chaining_key_, {});
  return {.initiator = CipherState(keys[0]), .responder = CipherState(keys[1])};
}

// HandshakeState ------------------------------------------------------------------------------

HandshakeState::HandshakeState(Options options, Entropy& entropy)
    : options_(std::move(options)),
      entropy_(entropy),
      symmetric_(as_bytes(protocol_name(options_))),
      remote_static_(options_.remote_static) {
  symmetric_.mix_hash(options_.prologue);
  if (options_.pattern == Pattern::Ik) {  // The pre-message "<- s".
    const bool is_initiator = options_.role == Role::Initiator;
    WEFT_ASSERT(options_.psk2.has_value());
    WEFT_ASSERT(remote_static_.has_value() == is_initiator);
    symmetric_.mix_hash(is_initiator ? *remote_static_ : options_.key.pub);
  }
}

bool HandshakeState::is_writer() const {
  return (options_.role == Role::Initiator) == (message_index_ % 2 == 0);
}

std::span<const HandshakeState::Token> HandshakeState::tokens() const {
  using enum Token;
  static constexpr std::array kFirst{E};
  static constexpr std::array kFirstPsk{Psk0, E};
  static constexpr std::array kSecond{E, Ee, S, Es};
  static constexpr std::array kThird{S, Se};
  static constexpr std::array kThirdPsk{S, Se, Psk3};
  static constexpr std::array kFirstIk{E, Es, S, Ss};
  static constexpr std::array kSecondIk{E, Ee, Se, Psk2};
  if (options_.pattern == Pattern::Ik) {
    return message_index_ == 0 ? std::span<const Token>(kFirstIk)
                               : std::span<const Token>(kSecondIk);
  }
  if (message_index_ == 0) {
    return options_.psk0 ? std::span<const Token>(kFirstPsk) : std::span<const Token>(kFirst);
  }
  if (message_index_ == 1) {
    return kSecond;
  }
  return options_.psk3 ? std::span<const Token>(kThirdPsk) : std::span<const Token>(kThird);
}

std::size_t HandshakeState::overhead() const {
  WEFT_ASSERT(!finished());
  constexpr std::size_t kSealedKey = kKeySize + kTagSize;
  if (options_.pattern == Pattern::Ik) {
    return kKeySize + kTagSize + (message_index_ == 0 ? kSealedKey : 0);
  }
  constexpr std::array kSizes{kKeySize, kKeySize + kSealedKey + kTagSize, kSealedKey + kTagSize};
  // Only with a pre-shared key is the first payload sealed.
  return kSizes[message_index_] + (message_index_ == 0 && has_psk() ? kTagSize : 0);
}

Result<Ok> HandshakeState::write_message(ByteView payload, Bytes& out) {
  WEFT_ASSERT(!finished());
  WEFT_ASSERT(is_writer());
  const std::size_t before = out.size();
  for (const Token token : tokens()) {
    WEFT_TRY(write_token(token, out));
  }
  WEFT_TRY(symmetric_.encrypt_and_hash(payload, out));
  WEFT_ASSERT(out.size() - before <= kMessageMax);
  ++message_index_;
  return Ok{};
}

Result<Bytes> HandshakeState::read_message(ByteView message) {
  WEFT_ASSERT(!finished());
  WEFT_ASSERT(!is_writer());
  Reader reader(message);
  for (const Token token : tokens()) {
    WEFT_TRY(read_token(token, reader));
  }
  Bytes payload;
  WEFT_TRY(symmetric_.decrypt_and_hash(reader.rest(), payload));
  ++message_index_;
  return payload;
}

Result<Ok> HandshakeState::write_token(Token token, Bytes& out) {
  if (token == Token::E) {
    ephemeral_ = KeyPair::generate(entropy_);
    ++dh_count_;
    out.insert(out.end(), ephemeral_.pub.begin(), ephemeral_.pub.end());
    mix_public(ephemeral_.pub);
    return Ok{};
  }
  if (token == Token::S) {
    return symmetric_.encrypt_and_hash(options_.key.pub, out);
  }
  return mix_shared(token);
}

Result<Ok> HandshakeState::read_token(Token token, Reader& message) {
  if (token == Token::E) {
    const ByteView key = WEFT_TRY(message.take(kKeySize));
    remote_ephemeral_.emplace();
    std::copy(key.begin(), key.end(), remote_ephemeral_->begin());
    mix_public(*remote_ephemeral_);
    return Ok{};
  }
  if (token == Token::S) {
    const std::size_t size = kKeySize + (symmetric_.has_key() ? kTagSize : 0);
    const ByteView sealed = WEFT_TRY(message.take(size));
    Bytes key;
    WEFT_TRY(symmetric_.decrypt_and_hash(sealed, key));
    remote_static_.emplace();
    std::copy(key.begin(), key.end(), remote_static_->begin());
    return Ok{};
  }
  return mix_shared(token);
}

// Section 9.2: with a pre-shared key, ephemeral keys also randomise the encryption.
void HandshakeState::mix_public(const PublicKey& ephemeral) {
  symmetric_.mix_hash(ephemeral);
  if (has_psk()) {
    symmetric_.mix_key(ephemeral);
  }
}

// The tokens that mean the same to writer and reader. "es" is the initiator's ephemeral with the
// responder's static key, whoever computes it.
Result<Ok> HandshakeState::mix_shared(Token token) {
  const bool is_initiator = options_.role == Role::Initiator;
  switch (token) {
    case Token::Ee:
      return mix_dh(ephemeral_, remote_ephemeral_);
    case Token::Es:
      return is_initiator ? mix_dh(ephemeral_, remote_static_)
                          : mix_dh(options_.key, remote_ephemeral_);
    case Token::Se:
      return is_initiator ? mix_dh(options_.key, remote_ephemeral_)
                          : mix_dh(ephemeral_, remote_static_);
    case Token::Ss:
      return mix_dh(options_.key, remote_static_);
    case Token::Psk2:
      symmetric_.mix_key_and_hash(options_.psk2->bytes());
      return Ok{};
    case Token::Psk0:
      symmetric_.mix_key_and_hash(options_.psk0->bytes());
      return Ok{};
    case Token::Psk3:
      symmetric_.mix_key_and_hash(options_.psk3->bytes());
      return Ok{};
    case Token::E:
    case Token::S:
      break;
  }
  WEFT_ASSERT(false);
}

Result<Ok> HandshakeState::mix_dh(const KeyPair& ours, const std::optional<PublicKey>& theirs) {
  WEFT_ASSERT(theirs.has_value());
  ++dh_count_;
  Secret shared;
  // libsodium refuses a result of all zeros, which only a key of low order gives.
  if (crypto_scalarmult(shared.bytes().data(), ours.secret.bytes().data(), theirs->data()) != 0) {
    return Error{Errc::Denied, "the peer's public key is of low order"};
  }
  symmetric_.mix_key(shared.bytes());
  return Ok{};
}

HandshakeState::Transport HandshakeState::split() const {
  WEFT_ASSERT(finished());
  const SymmetricState::Split keys = symmetric_.split();
  if (options_.role == Role::Initiator) {
    return {.send = keys.initiator, .receive = keys.responder};
  }
  return {.send = keys.responder, .receive = keys.initiator};
}

}  // namespace weft::router::noise
