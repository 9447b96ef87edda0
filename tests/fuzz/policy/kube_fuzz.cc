// An API server that says anything. The first byte chooses the kind of objects; the rest are
// answers: one byte for what happens, two for the length of what is said. The reflector must stay
// valid, and the compiler that hears of it, too.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "policy/compile.h"
#include "policy/reflector.h"

namespace policy = weft::policy;

namespace {

constexpr std::array kKinds{policy::Kind::Namespaces, policy::Kind::Pods, policy::Kind::Policies};

class Outside {
 public:
  explicit Outside(policy::Kind kind)
      : reflector_(
          {.kind = kind, .page_bytes_max = 100'000, .line_bytes_max = 50'000, .objects_max = 100}) {
    settle();
  }

  void say(unsigned what, std::string_view text) {
    switch (what % 6) {
      case 0:
        reflector_.on_head(now_, 200, out_);
        break;
      case 1:
        reflector_.on_head(now_, what * 5, out_);
        break;
      case 2:
      case 3:
        reflector_.on_bytes(now_, text, out_);
        break;
      case 4:
        reflector_.on_end(now_, what % 2 == 0, out_);
        break;
      default:
        now_ += std::chrono::seconds(60);
        break;
    }
    settle();
  }

 private:
  void settle() {
    reflector_.on_deadline(now_, out_);
    reflector_.check_invariants();
    for (const policy::ReflectorAction& action : out_) {
      if (const auto* const set = std::get_if<policy::SetObject>(&action)) {
        compiler_.set(set->object);
      } else if (const auto* const gone = std::get_if<policy::RemoveObject>(&action)) {
        remove(*gone);
      }
    }
    out_.clear();
    compiler_.check_invariants();
    (void)compiler_.take_changes();
  }

  void remove(const policy::RemoveObject& gone) {
    switch (gone.kind) {
      case policy::Kind::Namespaces:
        return compiler_.remove_namespace(gone.id.name);
      case policy::Kind::Pods:
        return compiler_.remove_pod(gone.id);
      case policy::Kind::Policies:
        return compiler_.remove_policy(gone.id);
    }
  }

  weft::TimePoint now_{};
  policy::Reflector reflector_;
  policy::Compiler compiler_;
  policy::ReflectorActions out_;
};

// The text as one object of each kind: what is read is told to a compiler with some pods.
void read_whole(std::string_view text) {
  policy::Compiler compiler;
  compiler.set(policy::Namespace{.name = "n", .labels = {{"a", "b"}}});
  compiler.set(policy::Pod{.id = {"n", "p"},
                           .labels = {{"app", "web"}},
                           .addresses = {weft::Ip::parse("10.0.0.1").value()},
                           .ports = {{"http", weft::PolicyProtocol::Tcp, 80}}});
  for (const policy::Kind kind : kKinds) {
    if (const auto event = policy::read_event(kind, text); event.ok() && event.value().object) {
      compiler.set(*event.value().object);
    }
    if (const auto page = policy::read_list(kind, text); page.ok()) {
      for (const policy::Object& object : page.value().objects) {
        compiler.set(object);
      }
    }
  }
  compiler.check_invariants();
  (void)compiler.take_changes();
  WEFT_ASSERT(compiler.take_changes().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_whole(weft::as_text({data, size}));
  weft::Reader reader(weft::ByteView(data, size));
  const auto kind = reader.u8();
  if (!kind.ok()) {
    return 0;
  }
  Outside outside(kKinds[kind.value() % kKinds.size()]);
  while (!reader.empty()) {
    const auto what = reader.u8();
    const auto length = reader.u16();
    if (!what.ok() || !length.ok()) {
      break;
    }
    const auto text = reader.take(std::min<std::size_t>(length.value(), reader.remaining()));
    outside.say(what.value(), weft::as_text(text.value()));
  }
  return 0;
}
