// A host of its own for the real binary: network, mount, PID and UTS namespaces, with private /run,
// /var/lib and /var/log. Everything in it dies with the object, also when the test crashes.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace weft::test {

struct Outcome {
  int exit_code = -1;  // 128 + signal if it was killed.
  std::string out;
  std::string err;
};

class VirtualHost {
 public:
  explicit VirtualHost(const std::string& name);
  VirtualHost(const VirtualHost&) = delete;
  VirtualHost& operator=(const VirtualHost&) = delete;
  ~VirtualHost();

  // Runs a program inside to its end.
  Outcome run(const std::vector<std::string>& words) const;
  // The binary under test.
  Outcome weft(std::vector<std::string> words) const;
  // Asserts in the caller that it worked.
  void must(const std::vector<std::string>& words) const;

  std::string read_file(const std::string& path) const;
  void write_file(const std::string& path, const std::string& content) const;
  ::pid_t pid() const { return init_; }

 private:
  ::pid_t keeper_ = -1;  // Parent of init_, in our PID namespace.
  ::pid_t init_ = -1;    // PID 1 inside, by the PID it has here.
};

// A veth pair between two hosts, both ends down.
void wire(const VirtualHost& left,
          const std::string& left_device,
          const VirtualHost& right,
          const std::string& right_device);

// Joins two hosts with a veth pair, eth0 on both sides.
void join(const VirtualHost& left,
          const std::string& left_address,
          const VirtualHost& right,
          const std::string& right_address);

}  // namespace weft::test
