#include "agent/cni/setup.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/version.h"
#include "base/entropy.h"

namespace weft::agent {
namespace {

namespace fs = std::filesystem;

Error os_error(const std::string& doing, const fs::path& path, const std::error_code& error) {
  return Error{
      Errc::Os, fmt::format("{} {}: {}", doing, path.string(), error.message()), error.value()};
}

// Beside the file that is to be, under a name that no runtime reads. By chance and not by the
// process's number: processes in containers that set up one host may have the same.
fs::path temporary_of(const fs::path& path) {
  std::array<std::uint8_t, 8> name{};
  SystemEntropy().fill(name);
  return path.parent_path()
         / fmt::format(".{}.{:02x}", path.filename().string(), fmt::join(name, ""));
}

Result<Ok> replace_link(const fs::path& link, const fs::path& target) {
  const fs::path temporary = temporary_of(link);
  std::error_code error;
  fs::create_symlink(target, temporary, error);
  if (!error) {
    fs::rename(temporary, link, error);
  }
  return error ? Result<Ok>(os_error("link", link, error)) : Result<Ok>(Ok{});
}

Result<Ok> copy_program(const fs::path& program, const fs::path& copy) {
  const fs::path temporary = temporary_of(copy);
  std::error_code error;
  if (fs::exists(copy, error)) {
    return Ok{};
  }
  fs::copy_file(program, temporary, fs::copy_options::overwrite_existing, error);
  if (!error) {
    fs::rename(temporary, copy, error);
  }
  return error ? Result<Ok>(os_error("copy to", copy, error)) : Result<Ok>(Ok{});
}

Result<Ok> install_plugins(const CniSetup& setup) {
  const fs::path folder(setup.root + setup.plugin_dir);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return os_error("make", folder, error);
  }
  fs::path target = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    return os_error("read", "/proc/self/exe", error);
  }
  if (!setup.root.empty()) {
    const std::string copy = fmt::format("weft-plugin-{}", kVersion);
    WEFT_TRY(copy_program(target, folder / copy));
    target = copy;
  }
  for (const char* const part : {"-net", "-ipam"}) {
    WEFT_TRY(replace_link(folder / (setup.name + part), target));
  }
  return Ok{};
}

fs::path network_of(const CniSetup& setup) {
  return fs::path(setup.root + setup.conf_dir) / fmt::format("10-{}.conflist", setup.name);
}

// By a link, which unlike a rename fails where somebody else was faster.
Result<Ok> write_network(const CniSetup& setup) {
  const fs::path path = network_of(setup);
  const fs::path folder = path.parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error) || fs::exists(path, error)) {
    return Ok{};
  }
  const fs::path temporary = temporary_of(path);
  std::ofstream file(temporary, std::ios::trunc);
  file << cni_conflist(setup);
  file.close();
  if (!file) {
    return Error{Errc::Os, fmt::format("write {}", temporary.string())};
  }
  fs::create_hard_link(temporary, path, error);
  std::error_code ignored;
  fs::remove(temporary, ignored);
  if (error && error != std::errc::file_exists) {
    return os_error("write", path, error);
  }
  return Ok{};
}

}  // namespace

Result<Ok> setup_cni(const CniSetup& setup) {
  WEFT_TRY(install_plugins(setup));
  // Of Weave before 2.2, which runtimes would read first.
  if (setup.name == "weave") {
    std::error_code ignored;
    fs::remove(setup.root + setup.conf_dir + "/10-weave.conf", ignored);
  }
  return write_network(setup);
}

ExitCode run_setup_cni(const Settings& settings) {
  CniSetup setup;
  setup.root = settings.text("host-root");
  setup.plugin_dir = settings.text("cni-plugin-dir");
  setup.conf_dir = settings.text("cni-conf-dir");
  setup.run_dir = settings.is_given("run-dir") ? settings.text("run-dir") : "";
  std::error_code unknown;
  const bool had_network = fs::exists(network_of(setup), unknown);
  const auto done = setup_cni(setup);
  if (!done.ok()) {
    fmt::print(stderr, "weft: setup-cni: {}\n", done.error().what);
    return ExitCode::Failure;
  }
  fmt::print("{0}/{1}-net and {0}/{1}-ipam are weft's CNI plugins\n",
             setup.root + setup.plugin_dir,
             setup.name);
  const fs::path network = network_of(setup);
  if (!fs::exists(network, unknown)) {
    fmt::print("{} is not there, and so no network was written\n", setup.root + setup.conf_dir);
  } else {
    fmt::print("{} is {}\n", network.string(), had_network ? "as it was" : "the network, new");
  }
  return ExitCode::Ok;
}

}  // namespace weft::agent
