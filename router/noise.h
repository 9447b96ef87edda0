// The Noise Protocol Framework, revision 34 (https://noiseprotocol.org/noise.html), as far as the
// mesh and the encrypted data path need it: pattern XX with modifiers psk0 and psk3, and IKpsk2,
// over 25519, ChaChaPoly and SHA256, on libsodium primitives.
//
// Names follow the specification, so that it can be read side by side. Sans-IO: the one thing drawn
// from outside is the ephemeral key, 32 bytes of Entropy at the first own message. A state that has
// returned an Error must not be used again. Secrets are wiped on destruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/result.h"
#include "router/keys.h"

namespace weft::router::noise {

inline constexpr std::size_t kKeySize = 32;        // DHLEN, HASHLEN and the cipher's key.
inline constexpr std::size_t kTagSize = 16;        // Poly1305.
inline constexpr std::size_t kMessageMax = 65535;  // Section 3: no Noise message is longer.

using Hash = std::array<std::uint8_t, kKeySize>;

// Section 5.1. Without a key, text passes unchanged.
class CipherState {
 public:
  CipherState() = default;
  explicit CipherState(const Secret& key) : key_(key) {}

  bool has_key() const { return key_.has_value(); }
  // For those who use the key with a cipher of their own. Precondition: has_key().
  const Secret& key() const;
  std::uint64_t nonce() const { return nonce_; }
  void set_nonce(std::uint64_t nonce) { nonce_ = nonce; }

  // Both append to `out`. Errc::Exhausted once the nonce is used up, Errc::Denied for a ciphertext
  // that does not authenticate; then neither the nonce nor `out` has changed.
  Result<Ok> encrypt(ByteView ad, ByteView plaintext, Bytes& out);
  Result<Ok> decrypt(ByteView ad, ByteView ciphertext, Bytes& out);

  // Section 4.2, REKEY. The nonce goes on. Precondition: has_key().
  void rekey();

 private:
  std::optional<Secret> key_;
  std::uint64_t nonce_ = 0;
};

// Section 5.2.
class SymmetricState {
 public:
  explicit SymmetricState(ByteView protocol_name);

  void mix_key(ByteView input);
  void mix_hash(ByteView data);
  void mix_key_and_hash(ByteView input);
  Result<Ok> encrypt_and_hash(ByteView plaintext, Bytes& out);
  Result<Ok> decrypt_and_hash(ByteView ciphertext, Bytes& out);

  bool has_key() const { return cipher_.has_key(); }
  const Hash& hash() const { return hash_; }
  struct Split {
    CipherState initiator;  // From the initiator to the responder.
    CipherState responder;
  };
  Split split() const;

 private:
  CipherState cipher_;
  Secret chaining_key_;
  Hash hash_{};
};

enum class Role : std::uint8_t { Initiator, Responder };

// Xx with up to two pre-shared keys. Ik is always IKpsk2: its initiator knows the responder.
//   -> [psk0,] e                    <- s
//   <- e, ee, s, es                 -> e, es, s, ss
//   -> s, se[, psk3]                <- e, ee, se, psk2
enum class Pattern : std::uint8_t { Xx, Ik };

// Section 5.3.
class HandshakeState {
 public:
  struct Options {
    Role role = Role::Initiator;
    KeyPair key;              // s
    std::optional<Psk> psk0;  // Each adds its modifier to the pattern.
    std::optional<Psk> psk3;
    Bytes prologue;
    Pattern pattern = Pattern::Xx;
    // Preconditions: psk2 is given with Ik, the responder's key to its initiator.
    std::optional<Psk> psk2 = std::nullopt;
    std::optional<PublicKey> remote_static = std::nullopt;
  };

  HandshakeState(Options options, Entropy& entropy);

  // Whose message is next; meaningless once finished().
  bool is_writer() const;
  bool finished() const { return message_index_ == message_count(); }
  std::size_t message_index() const { return message_index_; }
  // Size of the next message, either way, with an empty payload. Precondition: not finished().
  std::size_t overhead() const;

  // Appends the next message to `out`. Preconditions: is_writer(), not finished().
  Result<Ok> write_message(ByteView payload, Bytes& out);
  // The payload of the next message. Preconditions: not is_writer(), not finished().
  Result<Bytes> read_message(ByteView message);

  // rs: known after the message that carries it.
  const std::optional<PublicKey>& remote_static() const { return remote_static_; }
  const Hash& hash() const { return symmetric_.hash(); }
  // Multiplications on the curve so far: what a handshake costs, all else is hashing.
  std::size_t dh_count() const { return dh_count_; }

  struct Transport {
    CipherState send;
    CipherState receive;
  };
  // Precondition: finished().
  Transport split() const;

 private:
  enum class Token : std::uint8_t { E, S, Ee, Es, Se, Ss, Psk0, Psk2, Psk3 };

  std::size_t message_count() const { return options_.pattern == Pattern::Xx ? 3 : 2; }
  bool has_psk() const { return options_.psk0 || options_.psk2 || options_.psk3; }
  std::span<const Token> tokens() const;
  Result<Ok> write_token(Token token, Bytes& out);
  Result<Ok> read_token(Token token, Reader& message);
  Result<Ok> mix_shared(Token token);
  Result<Ok> mix_dh(const KeyPair& ours, const std::optional<PublicKey>& theirs);
  void mix_public(const PublicKey& ephemeral);

  Options options_;
  Entropy& entropy_;
  SymmetricState symmetric_;
  KeyPair ephemeral_;
  std::optional<PublicKey> remote_static_;
  std::optional<PublicKey> remote_ephemeral_;
  std::size_t message_index_ = 0;
  std::size_t dh_count_ = 0;
};

}  // namespace weft::router::noise
