#include "control/catalog.h"

#include <algorithm>
#include <array>

namespace weft::control {
namespace {

using enum Role;

constexpr std::array kControls{
    Control{"docker_container_logs", "Logs", "file-text", "", 0, Operator, Subject::Container},
    Control{"docker_attach_container", "Attach", "desktop", "", 1, Admin, Subject::Container},
    Control{"docker_exec_container", "Exec shell", "terminal", "", 2, Admin, Subject::Container},
    Control{"docker_start_container", "Start", "play", "", 3, Operator, Subject::Container},
    Control{"docker_restart_container",
            "Restart",
            "repeat",
            "Restart this container? What it is doing is cut off.",
            4,
            Operator,
            Subject::Container},
    Control{"docker_pause_container", "Pause", "pause", "", 5, Operator, Subject::Container},
    Control{"docker_unpause_container", "Unpause", "play", "", 6, Operator, Subject::Container},
    Control{"docker_stop_container",
            "Stop",
            "stop",
            "Stop this container? What it is doing is cut off.",
            7,
            Operator,
            Subject::Container},
    Control{"docker_remove_container",
            "Remove",
            "trash",
            "Remove this container? What it has written outside volumes is lost.",
            8,
            Admin,
            Subject::Container},
    Control{"host_exec", "Host shell", "terminal", "", 1, Admin, Subject::Host},
};

constexpr std::array<std::string_view, 3> kRoles{"viewer", "operator", "admin"};

}  // namespace

std::string_view text_of(Role role) {
  return kRoles.at(static_cast<std::size_t>(role));
}

std::optional<Role> parse_role(std::string_view text) {
  const auto* const found = std::find(kRoles.begin(), kRoles.end(), text);
  if (found == kRoles.end()) {
    return std::nullopt;
  }
  return static_cast<Role>(found - kRoles.begin());
}

std::span<const Control> controls() {
  return kControls;
}

const Control* find_control(std::string_view id) {
  const auto* const found = std::find_if(kControls.begin(),
                                         kControls.end(),
                                         [id](const Control& control) { return control.id == id; });
  return found == kControls.end() ? nullptr : found;
}

bool applies(const Control& control, ContainerPhase phase) {
  if (control.subject != Subject::Container) {
    return false;
  }
  if (control.id == "docker_container_logs") {
    return true;
  }
  if (control.id == "docker_unpause_container") {
    return phase == ContainerPhase::Paused;
  }
  const bool is_for_stopped =
      control.id == "docker_start_container" || control.id == "docker_remove_container";
  return is_for_stopped ? phase == ContainerPhase::Stopped : phase == ContainerPhase::Running;
}

}  // namespace weft::control
