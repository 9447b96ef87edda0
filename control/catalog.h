// What people can do to containers and hosts, and who may. Names are Weave Scope's where Scope has
// the control. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weft::control {

// What somebody may do; each may all that the ones before may.
enum class Role : std::uint8_t {
  Viewer,    // Look.
  Operator,  // Run containers: start, stop, pause, read their logs.
  Admin,     // Get inside: shells, which are root's, and removal.
};
std::string_view text_of(Role role);
std::optional<Role> parse_role(std::string_view text);

enum class Subject : std::uint8_t { Container, Host };

struct Control {
  std::string_view id;
  std::string_view label;
  std::string_view icon;
  std::string_view confirmation;  // What to ask before; empty if nothing.
  int rank = 0;                   // Where it stands among the others.
  Role role = Role::Admin;
  Subject subject = Subject::Container;
};

std::span<const Control> controls();
const Control* find_control(std::string_view id);

// Controls of the size of a terminal; no buttons, and no more than the pipe's own.
inline constexpr std::string_view kResizeExec = "docker_resize_exec_tty";
inline constexpr std::string_view kResizeAttach = "docker_resize_attach_tty";
inline constexpr std::string_view kResizeHost = "host_resize_exec_tty";

enum class ContainerPhase : std::uint8_t { Running, Paused, Stopped };
// Whether a control makes sense for a container in this phase.
bool applies(const Control& control, ContainerPhase phase);

}  // namespace weft::control
