// Any bytes as what the kernel says of control groups, and as a group's path.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "sys/cgroup/group_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = weft::as_text({data, size});
  const std::string_view first = text.substr(0, text.find('\n'));
  for (const weft::sys::GroupMount& mount : weft::sys::parse_group_mounts(text)) {
    WEFT_ASSERT(mount.point.starts_with('/'));
    (void)mount.has_controller(first);
    // Nobody is led out of a hierarchy by the path of a group.
    if (const auto folder = mount.folder_of(first)) {
      WEFT_ASSERT(folder->starts_with(mount.point));
      const std::string_view inside = std::string_view(*folder).substr(mount.point.size());
      WEFT_ASSERT(inside.find("/../") == std::string_view::npos);
      WEFT_ASSERT(!inside.ends_with("/.."));
    }
  }
  (void)weft::sys::parse_group_number(text);
  (void)weft::sys::parse_group_key(text, "inactive_file");
  (void)weft::sys::parse_group_key(text, first.substr(0, first.find(' ')));
  (void)weft::sys::parse_group_disks(text);
  return 0;
}
