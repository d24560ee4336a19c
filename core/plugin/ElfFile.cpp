#include "plugin/ElfFile.h"

#include <matrixos/status.hpp>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace matrixos::plugin {

namespace {

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#else
constexpr unsigned kMachine = EM_NONE; // any
#endif

/// Tables of a file, each within its bounds.
class Reader {
public:
  Reader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {
    struct stat info {};
    if (::fstat(fd, &info) == 0) size_ = static_cast<std::uint64_t>(info.st_size);
  }

  [[noreturn]] void refuse(const std::string &why) const {
    throw Error(Status::FailedPrecondition, name_ + " " + why, "PLUGIN_FILE");
  }
  [[noreturn]] void refuseDamaged() const { refuse("is damaged: it ends before its content; install it again"); }

  std::uint64_t size() const noexcept { return size_; }
  bool inside(std::uint64_t offset, std::uint64_t length) const noexcept {
    return offset <= size_ && length <= size_ - offset;
  }

  template <typename T>
  std::vector<T> table(std::uint64_t offset, std::uint64_t count) const {
    if (count > size_ / sizeof(T) || !inside(offset, count * sizeof(T))) refuseDamaged();
    std::vector<T> items(static_cast<std::size_t>(count));
    auto *at = reinterpret_cast<char *>(items.data());
    for (std::size_t left = items.size() * sizeof(T); left > 0;) {
      const ssize_t got = ::pread(fd_, at, left, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) refuseDamaged();
      at += got;
      offset += static_cast<std::uint64_t>(got);
      left -= static_cast<std::size_t>(got);
    }
    return items;
  }

private:
  int fd_;
  std::string name_;
  std::uint64_t size_ = 0;
};

/// A string table: its last byte is 0 wherever it is cut.
class Strings {
public:
  Strings(const Reader &reader, const Elf64_Shdr &section)
      : text_(reader.table<char>(section.sh_offset, section.sh_size)) {
    text_.push_back('\0');
  }
  const char *at(std::uint64_t offset) const noexcept { return offset < text_.size() ? &text_[offset] : ""; }

private:
  std::vector<char> text_;
};

Elf64_Ehdr readHeader(const Reader &reader) {
  if (reader.size() < sizeof(Elf64_Ehdr)) reader.refuse("is not a 64-bit shared object");
  const Elf64_Ehdr header = reader.table<Elf64_Ehdr>(0, 1).front();
  const bool elf = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                   header.e_type == ET_DYN && header.e_phentsize == sizeof(Elf64_Phdr) &&
                   (header.e_shnum == 0 || header.e_shentsize == sizeof(Elf64_Shdr));
  if (!elf) reader.refuse("is not a 64-bit shared object");
  if (kMachine != EM_NONE && header.e_machine != kMachine) {
    reader.refuse("is built for another kind of machine (ELF machine " + std::to_string(header.e_machine) +
                  ", this one is " + std::to_string(kMachine) + ")");
  }
  return header;
}

void readSymbols(const Reader &reader, const Elf64_Shdr &section, const Strings &names, ElfFile &file) {
  for (const Elf64_Sym &symbol : reader.table<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym))) {
    const unsigned bind = ELF64_ST_BIND(symbol.st_info);
    const std::string name = names.at(symbol.st_name);
    if (name.empty() || bind == STB_LOCAL) continue;
    if (symbol.st_shndx == SHN_UNDEF) {
      if (bind != STB_WEAK) file.undefinedSymbols.push_back(name);
      continue;
    }
    if (bind == STB_GNU_UNIQUE) file.uniqueSymbols.push_back(name);
    file.exports.push_back(name);
  }
}

void readDynamic(const Reader &reader, const Elf64_Shdr &section, const Strings &names, ElfFile &file) {
  for (const Elf64_Dyn &entry : reader.table<Elf64_Dyn>(section.sh_offset, section.sh_size / sizeof(Elf64_Dyn))) {
    if (entry.d_tag == DT_NULL) return;
    if (entry.d_tag == DT_NEEDED) file.needed.emplace_back(names.at(entry.d_un.d_val));
    if (entry.d_tag == DT_RUNPATH || entry.d_tag == DT_RPATH) file.runPath = names.at(entry.d_un.d_val);
  }
}

} // namespace

bool ElfFile::exportsSymbol(const std::string &name) const {
  return std::find(exports.begin(), exports.end(), name) != exports.end();
}

ElfFile ElfFile::read(int fd, const std::string &name) {
  const Reader reader(fd, name);
  const Elf64_Ehdr header = readHeader(reader);
  for (const Elf64_Phdr &segment : reader.table<Elf64_Phdr>(header.e_phoff, header.e_phnum)) {
    if (segment.p_type == PT_LOAD && !reader.inside(segment.p_offset, segment.p_filesz)) reader.refuseDamaged();
  }
  ElfFile file;
  const auto sections = reader.table<Elf64_Shdr>(header.e_shoff, header.e_shnum);
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC) continue;
    if (section.sh_link >= sections.size()) reader.refuseDamaged();
    const Strings names(reader, sections[section.sh_link]);
    if (section.sh_type == SHT_DYNSYM)
      readSymbols(reader, section, names, file);
    else
      readDynamic(reader, section, names, file);
  }
  return file;
}

} // namespace matrixos::plugin
