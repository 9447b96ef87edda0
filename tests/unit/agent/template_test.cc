// Templates as scripts give them to `weave report -f`.
#include "agent/http/template.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

const boost::json::value& report() {
  static const boost::json::value kReport = boost::json::parse(R"({
    "Ready": true,
    "Router": {"Name": "7a:01:02:03:04:05", "Targets": ["h1", "h2"],
               "Connections": [{"State": "established", "Info": "a"}, {"State": "failed", "Info": "b"}]},
    "IPAM": {"DefaultSubnet": "10.32.0.0/12", "Paxos": null, "Entries": []},
    "DNS": {"Entries": [{"Hostname": "web.weave.local.", "Tombstone": 0}]},
    "VersionCheck": {"Success": false}})");
  return kReport;
}

std::string render(const std::string& text) {
  const auto rendered = render_template(text, report());
  return rendered.ok() ? rendered.value() : "error: " + rendered.error().what;
}

TEST(Template, PrintsFieldsAndText) {
  EXPECT_EQ(render("name={{.Router.Name}}, {{ .IPAM.DefaultSubnet }}"),
            "name=7a:01:02:03:04:05, 10.32.0.0/12");
  EXPECT_EQ(render("{{.VersionCheck.Success}} {{.Ready}}"), "false true");
  EXPECT_EQ(render("{{.Router.Targets}}"), "[h1 h2]");
  EXPECT_EQ(render("{{.Nothing}}"), "<no value>");
  EXPECT_EQ(render(""), "");
}

TEST(Template, HasTheFunctionsOfScripts) {
  EXPECT_EQ(render("{{len .DNS.Entries}} {{json .Router.Targets}}"), R"(1 ["h1","h2"])");
  EXPECT_EQ(render("{{index .Router.Targets 1}} {{.Router.Targets | len}}"), "h2 2");
  EXPECT_EQ(render("{{(index .DNS.Entries 0).Hostname}} {{len (index .DNS.Entries 0).Hostname}}"),
            "web.weave.local. 16");
  EXPECT_EQ(render(R"({{printf "%s-%d%%" .Router.Name 3}})"), "7a:01:02:03:04:05-3%");
  EXPECT_EQ(render(R"({{(index .DNS.Entries 0) | json}})"),
            R"({"Hostname":"web.weave.local.","Tombstone":0})");
}

TEST(Template, RangesAndBranches) {
  EXPECT_EQ(render("{{range .Router.Connections}}{{if eq .State \"established\"}}{{.Info}}"
                   "{{else}}-{{end}}{{end}}"),
            "a-");
  EXPECT_EQ(render("{{range .IPAM.Entries}}x{{else}}none{{end}}"), "none");
  EXPECT_EQ(render("{{if .IPAM.Paxos}}p{{else if not .Ready}}n{{else}}r{{end}}"), "r");
  EXPECT_EQ(render("{{with .Router}}{{.Name}} {{$.Ready}}{{end}}"), "7a:01:02:03:04:05 true");
  EXPECT_EQ(render("{{if and .Ready (ne .Router.Name \"\")}}ok{{end}}"), "ok");
}

TEST(Template, TrimsAndLeavesCommentsOut) {
  EXPECT_EQ(render("a  {{- /* note */ -}}  b"), "ab");
  EXPECT_EQ(render("{{range .Router.Targets}}\n  {{- .}} {{end}}"), "h1 h2 ");
}

TEST(Template, TellsAWrongTemplateFromOneThatDoesNotFit) {
  for (const char* text : {"{{",
                           "{{.A",
                           "{{}}",
                           "{{end}}",
                           "{{if .Ready}}",
                           "{{range}}{{end}}",
                           "{{xyzzy .A}}",
                           "{{\"a}}",
                           "{{(.Ready}}",
                           "{{.Ready)}}",
                           "{{len}}",
                           "{{if .Ready}}{{else with .A}}{{end}}"}) {
    const auto rendered = render_template(text, report());
    ASSERT_FALSE(rendered.ok()) << text;
    EXPECT_EQ(rendered.error().code, Errc::Invalid) << text;
  }
  for (const char* text : {"{{.Router.Name.X}}",
                           "{{.Nothing.X}}",
                           "{{len .Ready}}",
                           "{{index .Router.Targets 9}}",
                           "{{range .Ready}}{{end}}",
                           "{{printf \"%d\"}}"}) {
    const auto rendered = render_template(text, report());
    ASSERT_FALSE(rendered.ok()) << text;
    EXPECT_EQ(rendered.error().code, Errc::NotFound) << text;
  }
}

TEST(Template, IsNotNestedWithoutEnd) {
  std::string deep;
  std::string open;
  for (int i = 0; i < 1000; ++i) {
    deep += "{{if .Ready}}";
    open += "(";
  }
  EXPECT_FALSE(render_template(deep, report()).ok());
  EXPECT_FALSE(render_template("{{" + open + ".Ready}}", report()).ok());
}

}  // namespace
}  // namespace weft::agent
