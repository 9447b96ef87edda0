#include "agent/http/template.h"

#include <charconv>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

// Templates are written by hand; deeper nesting would be an attack on the stack.
constexpr int kDepthMax = 32;
// A range over everything the agent knows, a few kilobytes each.
constexpr std::size_t kOutputMax = 16U << 20U;

Error wrong(std::string what) {
  return Error{Errc::Invalid, "template: " + std::move(what)};
}

Error unfit(std::string what) {
  return Error{Errc::NotFound, "template: " + std::move(what)};
}

// --- words ---------------------------------------------------------------------------------------

struct Word {
  // A selector is a field path right behind ")".
  enum class Kind { Name, Field, Selector, Dollar, Literal, Open, Close, Pipe };
  Kind kind = Kind::Name;
  std::string text;  // A name, or a field path with its dots: ".A.B", ".".
  json::value literal{};
};
using Words = std::vector<Word>;

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Result<Word> read_string(std::string_view text, std::size_t& at) {
  const char quote = text[at++];
  std::string value;
  while (at < text.size() && text[at] != quote) {
    if (quote == '"' && text[at] == '\\' && at + 1 < text.size()) {
      const char escaped = text[++at];
      value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
    } else {
      value += text[at];
    }
    ++at;
  }
  if (at == text.size()) {
    return wrong("string without an end");
  }
  ++at;
  return Word{Word::Kind::Literal, {}, json::value(std::move(value))};
}

Word read_name(std::string_view text, std::size_t& at) {
  const std::size_t begin = at;
  while (at < text.size() && (is_word_char(text[at]) || text[at] == '.')) {
    ++at;
  }
  const std::string name(text.substr(begin, at - begin));
  if (name == "true" || name == "false") {
    return {Word::Kind::Literal, {}, json::value(name == "true")};
  }
  return {Word::Kind::Name, name};
}

Result<Word> read_number(std::string_view text, std::size_t& at) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), number);
  if (error != std::errc()) {
    return wrong(fmt::format("number in \"{}\"", text));
  }
  at = static_cast<std::size_t>(end - text.data());
  return Word{Word::Kind::Literal, {}, json::value(number)};
}

Result<Words> split(std::string_view text) {
  Words words;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at;
    } else if (c == '"' || c == '`') {
      words.push_back(WEFT_TRY(read_string(text, at)));
    } else if (c == '(' || c == ')' || c == '|') {
      ++at;
      words.push_back({c == '('   ? Word::Kind::Open
                       : c == ')' ? Word::Kind::Close
                                  : Word::Kind::Pipe,
                       {}});
    } else if (c == '.') {
      const bool is_selector = at > 0 && text[at - 1] == ')';
      words.push_back(
          {is_selector ? Word::Kind::Selector : Word::Kind::Field, read_name(text, at).text});
    } else if (c == '$') {
      ++at;
      words.push_back({Word::Kind::Dollar, read_name(text, at).text});
    } else if ((c >= '0' && c <= '9') || c == '-') {
      words.push_back(WEFT_TRY(read_number(text, at)));
    } else if (is_word_char(c)) {
      words.push_back(read_name(text, at));
    } else {
      return wrong(fmt::format("unexpected \"{}\"", text.substr(at, 1)));
    }
  }
  return words;
}

// --- the tree ------------------------------------------------------------------------------------

struct Node {
  enum class Kind { Text, Print, If, Range, With };
  Kind kind = Kind::Text;
  std::string text;
  Words pipeline;
  std::vector<Node> body;
  std::vector<Node> otherwise;
};
using Nodes = std::vector<Node>;

bool is_name(const Words& words, std::string_view name) {
  return !words.empty() && words.front().kind == Word::Kind::Name && words.front().text == name;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<Nodes> parse() {
    Nodes nodes;
    const Words ended = WEFT_TRY(parse_block(nodes, 0));
    if (!ended.empty()) {
      return wrong(fmt::format("{{{{{}}}}} without a beginning", ended.front().text));
    }
    return nodes;
  }

 private:
  // Reads nodes up to {{end}} or {{else…}}, whose words it returns; nothing at the end of the text.
  Result<Words> parse_block(Nodes& nodes, int depth) {
    if (depth > kDepthMax) {
      return wrong("too deeply nested");
    }
    while (true) {
      const std::size_t open = rest_.find("{{");
      add_text(nodes, rest_.substr(0, open), open);
      if (open == std::string_view::npos) {
        rest_ = {};
        return Words();
      }
      const std::string_view action = WEFT_TRY(take_action(open + 2));
      if (action.starts_with("/*")) {
        continue;
      }
      Words words = WEFT_TRY(split(action));
      if (is_name(words, "end") || is_name(words, "else")) {
        return words;
      }
      Node node = WEFT_TRY(parse_action(std::move(words), depth));
      nodes.push_back(std::move(node));
    }
  }

  void add_text(Nodes& nodes, std::string_view text, std::size_t open) {
    constexpr std::string_view kBlanks = " \t\r\n";
    if (trim_next_) {
      text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    }
    if (open != std::string_view::npos && rest_.substr(open).starts_with("{{- ")) {
      text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    }
    trim_next_ = false;
    if (!text.empty()) {
      nodes.push_back({.kind = Node::Kind::Text,
                       .text = std::string(text),
                       .pipeline = {},
                       .body = {},
                       .otherwise = {}});
    }
  }

  Result<std::string_view> take_action(std::size_t begin) {
    const std::size_t close = rest_.find("}}", begin);
    if (close == std::string_view::npos) {
      return wrong("{{ without }}");
    }
    std::string_view action = rest_.substr(begin, close - begin);
    rest_.remove_prefix(close + 2);
    if (action.starts_with("- ")) {
      action.remove_prefix(2);
    }
    if (action.ends_with(" -")) {
      action.remove_suffix(2);
      trim_next_ = true;
    }
    return action;
  }

  Result<Node> parse_action(Words words, int depth) {
    Node node{.kind = Node::Kind::Print, .text = {}, .pipeline = {}, .body = {}, .otherwise = {}};
    if (is_name(words, "if")) {
      node.kind = Node::Kind::If;
    } else if (is_name(words, "range")) {
      node.kind = Node::Kind::Range;
    } else if (is_name(words, "with")) {
      node.kind = Node::Kind::With;
    }
    const bool has_body = node.kind != Node::Kind::Print;
    if (has_body) {
      words.erase(words.begin());
    }
    if (words.empty()) {
      return wrong("an action without a value");
    }
    node.pipeline = std::move(words);
    if (has_body) {
      WEFT_TRY(parse_rest(node, depth));
    }
    return node;
  }

  Result<Ok> parse_rest(Node& node, int depth) {
    Words ended = WEFT_TRY(parse_block(node.body, depth + 1));
    if (is_name(ended, "else") && ended.size() > 1) {
      ended.erase(ended.begin());
      if (!is_name(ended, "if")) {
        return wrong("{{else}} of something else than if");
      }
      Node inner = WEFT_TRY(parse_action(std::move(ended), depth + 1));  // Takes our {{end}}.
      node.otherwise.push_back(std::move(inner));
      return Ok{};
    }
    if (is_name(ended, "else")) {
      ended = WEFT_TRY(parse_block(node.otherwise, depth + 1));
    }
    return is_name(ended, "end") && ended.size() == 1 ? Result<Ok>(Ok{})
                                                      : wrong("a block without {{end}}");
  }

  std::string_view rest_;
  bool trim_next_ = false;
};

// --- values --------------------------------------------------------------------------------------

bool is_true(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return false;
    case json::kind::bool_:
      return value.get_bool();
    case json::kind::int64:
      return value.get_int64() != 0;
    case json::kind::uint64:
      return value.get_uint64() != 0;
    case json::kind::double_:
      return value.get_double() != 0;
    case json::kind::string:
      return !value.get_string().empty();
    case json::kind::array:
      return !value.get_array().empty();
    case json::kind::object:
      return !value.get_object().empty();
  }
  return false;
}

// As Go prints them with %v.
std::string to_text(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return std::string(std::string_view(value.get_string()));
    case json::kind::null:
      return "<no value>";
    case json::kind::array: {
      std::string text;
      for (const json::value& one : value.get_array()) {
        text += (text.empty() ? "" : " ") + to_text(one);
      }
      return "[" + text + "]";
    }
    case json::kind::object: {
      std::string text;
      for (const auto& [key, one] : value.get_object()) {
        text +=
            fmt::format("{}{}:{}", text.empty() ? "" : " ", std::string_view(key), to_text(one));
      }
      return "map[" + text + "]";
    }
    default:
      return json::serialize(value);
  }
}

Result<std::int64_t> length_of(const json::value& value) {
  if (value.is_array()) {
    return static_cast<std::int64_t>(value.get_array().size());
  }
  if (value.is_object()) {
    return static_cast<std::int64_t>(value.get_object().size());
  }
  if (value.is_string()) {
    return static_cast<std::int64_t>(value.get_string().size());
  }
  return unfit("len of something that has none");
}

Result<json::value> element_of(const json::value& value, const json::value& key) {
  if (value.is_array() && key.is_int64()) {
    const auto at = static_cast<std::uint64_t>(key.get_int64());
    if (at >= value.get_array().size()) {
      return unfit(fmt::format("index {} of {}", key.get_int64(), value.get_array().size()));
    }
    return value.get_array()[at];
  }
  if (value.is_object() && key.is_string()) {
    const json::value* const found = value.get_object().if_contains(key.get_string());
    return found == nullptr ? json::value() : *found;
  }
  return unfit("index of something that has none");
}

// %s, %v, %d, %q and %%, without widths.
Result<std::string> print_format(const std::vector<json::value>& values) {
  if (values.empty() || !values.front().is_string()) {
    return unfit("printf without a format");
  }
  const std::string_view format = values.front().get_string();
  std::string text;
  std::size_t next = 1;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      text += format[at];
      continue;
    }
    const char verb = format[++at];
    if (verb == '%') {
      text += '%';
    } else if (next == values.size()) {
      return unfit("printf with too few values");
    } else if (verb == 'q') {
      text += json::serialize(values[next++]);
    } else if (verb == 's' || verb == 'v' || verb == 'd') {
      text += to_text(values[next++]);
    } else {
      return unfit(fmt::format("printf with %{}", verb));
    }
  }
  return text;
}

class Renderer {
 public:
  explicit Renderer(const json::value& root) : root_(root) {}

  Result<Ok> render(const Nodes& nodes, const json::value& dot) {
    for (const Node& node : nodes) {
      WEFT_TRY(render(node, dot));
      if (out_.size() > kOutputMax) {
        return unfit("the result is too long");
      }
    }
    return Ok{};
  }

  std::string take() { return std::move(out_); }

 private:
  Result<Ok> render(const Node& node, const json::value& dot) {
    if (node.kind == Node::Kind::Text) {
      out_ += node.text;
      return Ok{};
    }
    const json::value value = WEFT_TRY(evaluate(node.pipeline, dot));
    if (node.kind == Node::Kind::Print) {
      out_ += to_text(value);
      return Ok{};
    }
    if (!is_true(value)) {
      return render(node.otherwise, dot);
    }
    if (node.kind != Node::Kind::Range) {
      return render(node.body, node.kind == Node::Kind::With ? value : dot);
    }
    if (value.is_array()) {
      for (const json::value& one : value.get_array()) {
        WEFT_TRY(render(node.body, one));
      }
      return Ok{};
    }
    if (!value.is_object()) {
      return unfit("range over something that has no elements");
    }
    for (const auto& [key, one] : value.get_object()) {
      WEFT_TRY(render(node.body, one));
    }
    return Ok{};
  }

  Result<json::value> evaluate(const Words& words, const json::value& dot) {
    std::size_t at = 0;
    json::value value = WEFT_TRY(pipeline(words, at, dot, 0));
    return at == words.size() ? Result<json::value>(std::move(value)) : wrong("unexpected )");
  }

  // Commands joined by |, up to ) or the end.
  Result<json::value> pipeline(const Words& words,
                               std::size_t& at,
                               const json::value& dot,
                               int depth) {
    if (depth > kDepthMax) {
      return wrong("too deeply nested");
    }
    std::optional<json::value> piped;
    while (true) {
      std::string function;
      std::vector<json::value> arguments;
      while (at < words.size() && words[at].kind != Word::Kind::Pipe
             && words[at].kind != Word::Kind::Close) {
        if (words[at].kind == Word::Kind::Name && function.empty() && arguments.empty()) {
          function = words[at++].text;
        } else {
          arguments.push_back(WEFT_TRY(operand(words, at, dot, depth)));
        }
      }
      if (piped) {
        arguments.push_back(*std::move(piped));
      }
      piped = WEFT_TRY(call(function, arguments));
      if (at == words.size() || words[at].kind == Word::Kind::Close) {
        return *std::move(piped);
      }
      ++at;  // The |.
    }
  }

  Result<json::value> operand(const Words& words,
                              std::size_t& at,
                              const json::value& dot,
                              int depth) {
    const Word& word = words[at++];
    switch (word.kind) {
      case Word::Kind::Literal:
        return word.literal;
      case Word::Kind::Field:
        return field(dot, word.text);
      case Word::Kind::Dollar:
        return field(root_, word.text);
      case Word::Kind::Open: {
        json::value value = WEFT_TRY(pipeline(words, at, dot, depth + 1));
        if (at == words.size()) {
          return wrong("( without )");
        }
        ++at;
        if (at < words.size() && words[at].kind == Word::Kind::Selector) {
          value = WEFT_TRY(field(value, words[at++].text));
        }
        return value;
      }
      case Word::Kind::Selector:
      case Word::Kind::Name:
      case Word::Kind::Close:
      case Word::Kind::Pipe:
        break;
    }
    return wrong(fmt::format("unexpected \"{}\"", word.text));
  }

  // ".A.B" of a value; "." is the value. What is not there in a map is null.
  static Result<json::value> field(const json::value& value, std::string_view path) {
    const json::value* at = &value;
    static const json::value kNothing;
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::string_view name = path.substr(0, path.find('.'));
      path.remove_prefix(name.size());
      if (name.empty()) {
        continue;
      }
      if (at->is_null()) {
        return unfit(fmt::format("{} of nothing", name));
      }
      if (!at->is_object()) {
        return unfit(fmt::format("{} of something that has no fields", name));
      }
      const json::value* const found = at->get_object().if_contains(name);
      at = found == nullptr ? &kNothing : found;
    }
    return *at;
  }

  static Result<json::value> call(const std::string& function,
                                  const std::vector<json::value>& arguments) {
    if (function.empty()) {
      return arguments.size() == 1 ? Result<json::value>(arguments.front())
                                   : wrong("a value where a function is to be");
    }
    if (arguments.empty()) {
      return wrong(fmt::format("{} of nothing", function));
    }
    if (function == "json") {
      return json::value(json::serialize(arguments.front()));
    }
    if (function == "len") {
      return json::value(WEFT_TRY(length_of(arguments.front())));
    }
    if (function == "index") {
      json::value value = arguments.front();
      for (std::size_t i = 1; i < arguments.size(); ++i) {
        value = WEFT_TRY(element_of(value, arguments[i]));
      }
      return value;
    }
    if (function == "printf") {
      return json::value(WEFT_TRY(print_format(arguments)));
    }
    return logic(function, arguments);
  }

  static Result<json::value> logic(const std::string& function,
                                   const std::vector<json::value>& arguments) {
    if (function == "not") {
      return json::value(!is_true(arguments.front()));
    }
    if (function == "and" || function == "or") {
      for (const json::value& one : arguments) {
        if (is_true(one) == (function == "or")) {
          return one;
        }
      }
      return arguments.back();
    }
    if ((function == "eq" || function == "ne") && arguments.size() >= 2) {
      bool is_equal = false;
      for (std::size_t i = 1; i < arguments.size(); ++i) {
        is_equal = is_equal || arguments.front() == arguments[i];
      }
      return json::value(is_equal == (function == "eq"));
    }
    return wrong(fmt::format("function \"{}\" is not known", function));
  }

  const json::value& root_;
  std::string out_;
};

}  // namespace

Result<std::string> render_template(std::string_view text, const json::value& value) {
  const Nodes nodes = WEFT_TRY(Parser(text).parse());
  Renderer renderer(value);
  WEFT_TRY(renderer.render(nodes, value));
  return renderer.take();
}

}  // namespace weft::agent
