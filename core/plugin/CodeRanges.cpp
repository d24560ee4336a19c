#include "plugin/CodeRanges.h"

#include <link.h>

#include <array>
#include <atomic>
#include <mutex>

namespace matrixos::plugin {

namespace {

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  const PluginTag *plugin = nullptr;
};

std::array<Range, 8192> ranges;
std::atomic<std::size_t> used{0};
std::mutex adding;

struct Search {
  std::uintptr_t address;
  const PluginTag *plugin;
};

bool contains(const dl_phdr_info &object, std::uintptr_t address) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = object.dlpi_phdr[i];
    const std::uintptr_t begin = object.dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && address >= begin && address < begin + segment.p_memsz) return true;
  }
  return false;
}

int noteObject(dl_phdr_info *object, std::size_t, void *context) {
  const auto &search = *static_cast<const Search *>(context);
  if (!contains(*object, search.address)) return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const std::size_t at = used.load();
    if (at == ranges.size()) return 1;
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    ranges[at] = {begin, begin + segment.p_memsz, search.plugin};
    used.store(at + 1, std::memory_order_release);
  }
  return 1;
}

} // namespace

void CodeRanges::add(const PluginTag *plugin, const void *address) noexcept {
  const std::lock_guard lock(adding);
  Search search{reinterpret_cast<std::uintptr_t>(address), plugin};
  ::dl_iterate_phdr(&noteObject, &search);
}

const PluginTag *CodeRanges::find(std::uintptr_t address) noexcept {
  const std::size_t count = used.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    if (address >= ranges[i].begin && address < ranges[i].end) return ranges[i].plugin;
  }
  return nullptr;
}

} // namespace matrixos::plugin
