#include "LoadedPlugin.h"

#include "CallTrace.h"

#include <matrixos/status.hpp>

#include <dlfcn.h>
#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace matrixos::conformance {

namespace {

/// A table of the file as an array; throws when it does not lie within.
template <typename Entry>
std::vector<Entry> table(const std::string &bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset)
    throw std::runtime_error("the file's ELF tables are damaged");
  std::vector<Entry> entries(static_cast<std::size_t>(size / sizeof(Entry)));
  if (!entries.empty()) std::memcpy(entries.data(), bytes.data() + offset, entries.size() * sizeof(Entry));
  return entries;
}

std::string failureOf(const char *what, const std::string &plugin, mos_status status, const mos_error &error) {
  const Error failure = toError(status, error);
  return plugin + ": " + what + "() failed with " + statusName(failure.status()) + ": " + failure.what();
}

} // namespace

LoadedPlugin::LoadedPlugin(std::filesystem::path file) : file_(std::filesystem::absolute(std::move(file))) {
  void *handle = ::dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) throw std::runtime_error(::dlerror()); // NOLINT(concurrency-mt-unsafe): thread-local in glibc
  const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(handle, MOS_ENTRY_NAME));
  if (entry == nullptr) throw std::runtime_error(file_.string() + " exports no " MOS_ENTRY_NAME "; it is no plugin");
  descriptor_ = entry();
  if (descriptor_ == nullptr) throw std::runtime_error(file_.string() + ": " MOS_ENTRY_NAME "() gave NULL");
  if (descriptor_->magic != MOS_MAGIC || descriptor_->abi_major != MOS_ABI_MAJOR ||
      descriptor_->struct_size < sizeof(mos_descriptor_v1) || descriptor_->create == nullptr ||
      descriptor_->id == nullptr) {
    throw std::runtime_error(file_.string() +
                             ": its descriptor is not one of ABI 1 (magic, abi_major, struct_size, id, create)");
  }
}

std::vector<std::string> LoadedPlugin::exports() const {
  std::ifstream in(file_, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  const auto header = table<Elf64_Ehdr>(bytes, 0, sizeof(Elf64_Ehdr)).at(0);
  const auto sections = table<Elf64_Shdr>(bytes, header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr));
  std::vector<std::string> names;
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    const auto text = table<char>(bytes, sections[section.sh_link].sh_offset, sections[section.sh_link].sh_size);
    for (const Elf64_Sym &symbol : table<Elf64_Sym>(bytes, section.sh_offset, section.sh_size)) {
      if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL || symbol.st_name >= text.size())
        continue;
      names.emplace_back(text.data() + symbol.st_name,
                         ::strnlen(text.data() + symbol.st_name, text.size() - symbol.st_name));
    }
  }
  return names;
}

namespace {

/// For ever, see HostLife.
HostLife &kept(std::unique_ptr<HostLife> life) {
  static std::mutex mutex;
  static auto *all = new std::vector<std::unique_ptr<HostLife>>;
  const std::lock_guard lock(mutex);
  return *all->emplace_back(std::move(life));
}

} // namespace

PluginLife::PluginLife(const LoadedPlugin &plugin, HostWork &work, const IniFile &config, const HostFacts &facts)
    : plugin_(plugin), work_(work), host_(*[&] {
        PluginConfig values(plugin.descriptor(), config.section(plugin.descriptor().id));
        values.add("platform.domain", "localhost");
        values.add("platform.data_dir", facts.dataDirectory);
        return &kept(std::make_unique<HostLife>(work, std::move(values), facts));
      }()) {}

PluginLife::~PluginLife() {
  try {
    stop();
  } catch (const std::exception &) {
    // Whoever wants to judge it calls stop() himself.
  }
  destroy();
}

void PluginLife::create() {
  table_ = {};
  table_.struct_size = sizeof table_;
  mos_error error{};
  const mos_status status = [&] {
    const CallTrace::Call call("create() of the plugin");
    return plugin_.descriptor().create(host_.abi(), &table_, &error);
  }();
  if (status != MOS_OK) throw std::runtime_error(failureOf("create", plugin_.descriptor().id, status, error));
  created_ = true;
  if (table_.start == nullptr || table_.stop == nullptr || table_.destroy == nullptr)
    throw std::runtime_error("create() left start, stop or destroy NULL");
}

void PluginLife::start() {
  mos_error error{};
  const mos_status status = [&] {
    const CallTrace::Call call("start() of the plugin");
    return table_.start(table_.self, &error);
  }();
  if (status != MOS_OK) throw std::runtime_error(failureOf("start", plugin_.descriptor().id, status, error));
  started_ = true;
}

void PluginLife::stop() {
  if (!started_) return;
  started_ = false;
  mos_error error{};
  const mos_status status = [&] {
    const CallTrace::Call call("stop() of the plugin");
    return table_.stop(table_.self, &error);
  }();
  work_.drain(std::chrono::seconds{5});
  host_.end();
  if (status != MOS_OK) throw std::runtime_error(failureOf("stop", plugin_.descriptor().id, status, error));
}

void PluginLife::destroy() {
  if (!created_) return;
  created_ = false;
  host_.end();
  const CallTrace::Call call("destroy() of the plugin");
  if (table_.destroy != nullptr) table_.destroy(table_.self);
}

const mos_runtime_v1 *PluginLife::runtime(const std::string &instance) const {
  const mos_runtime_v1 *found = host_.runtime(instance);
  if (found != nullptr) return found;
  std::string names;
  for (const std::string &name : host_.provided())
    names += " \"" + name + "\"";
  throw std::runtime_error(
      std::string(plugin_.descriptor().id) + " provides no " MOS_RUNTIME_1 +
      (instance.empty() ? "" : " named \"" + instance + "\"") +
      (names.empty() ? "; start() has to call services.provide" : "; it has" + names + ", pick one with --instance"));
}

} // namespace matrixos::conformance
