// A visitor made of lambdas, for std::visit over a variant of actions.
#pragma once

namespace weft {

template <class... Ts>
struct overloaded : Ts... {  // NOLINT(readability-identifier-naming): the established spelling.
  using Ts::operator()...;
};

template <class... Ts>
overloaded(Ts...) -> overloaded<Ts...>;

}  // namespace weft
