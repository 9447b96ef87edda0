// The part of Go's text/template that `weave report -f` is used with, over JSON. Pure.
//
//   text {{.Field.Path}} {{json .X}} {{len .X}} {{index .X 0 "key"}} {{printf "%s %d" .X .Y}}
//   {{if .X}}…{{else if not .Y}}…{{else}}…{{end}}   {{range .X}}…{{else}}…{{end}}
//   {{with .X}}…{{end}}   {{eq .A "b"}} and ne, and, or, not; (pipelines in parentheses).Field;
//   {{.X | json}}; $; {{- trims -}};
//   {{/* comments */}}
//
// Not there: variables, {{template}}, {{define}}, methods, comparisons by size.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "base/result.h"

namespace weft::agent {

// Errc::Invalid: the template is wrong. Errc::NotFound: it is right, but not of this value.
Result<std::string> render_template(std::string_view text, const boost::json::value& value);

}  // namespace weft::agent
