#include "plugin/ElfFile.h"

#include "HostFixture.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>

#include <cstring>
#include <random>

using namespace matrixos;
using namespace matrixos::test;
using plugin::ElfFile;

namespace {

/// What is read of these bytes; nothing when they are refused, which says why.
std::optional<ElfFile> readBytes(const std::string &bytes, std::string *why = nullptr) {
  const TempDir dir;
  writeFile(dir / "file", bytes);
  const FileDescriptor fd(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  try {
    return ElfFile::read(fd.get(), "the file");
  } catch (const Error &e) {
    if (why != nullptr) *why = e.what();
    return std::nullopt;
  }
}

std::string goodFile() {
  return readFile(testPlugins() / "fake-good.so");
}

} // namespace

TEST_CASE("a plugin's exports and what it needs are read without loading it") {
  const auto file = readBytes(goodFile());
  REQUIRE(file);
  CHECK(file->exports == std::vector<std::string>{"mos_plugin_entry_v1"});
  CHECK(file->exportsSymbol("mos_plugin_entry_v1"));
  CHECK_FALSE(file->exportsSymbol("main"));
  CHECK(file->uniqueSymbols.empty());
  CHECK(std::find(file->needed.begin(), file->needed.end(), "libc.so.6") != file->needed.end());
  CHECK(std::find(file->undefinedSymbols.begin(), file->undefinedSymbols.end(), "memcpy") !=
        file->undefinedSymbols.end());
}

TEST_CASE("tables that claim to be huge cost nothing and are refused") {
  std::string bytes = goodFile();
  Elf64_Ehdr header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const std::size_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr section{};
    std::memcpy(&section, bytes.data() + at, sizeof section);
    if (section.sh_type != SHT_DYNSYM) continue;
    for (const std::uint64_t size : {std::uint64_t{1} << 33U, ~std::uint64_t{0}, ~std::uint64_t{0} - 23}) {
      Elf64_Shdr forged = section;
      forged.sh_size = size;
      std::string copy = bytes;
      std::memcpy(copy.data() + at, &forged, sizeof forged);
      std::string why;
      CHECK_FALSE(readBytes(copy, &why));
      CHECK(why.find("is damaged") != std::string::npos);
    }
  }
}

TEST_CASE("another machine's plugin is told from a broken one") {
  std::string bytes = goodFile();
  Elf64_Ehdr header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  header.e_machine = EM_S390;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::string why;
  CHECK_FALSE(readBytes(bytes, &why));
  CHECK(why.find("another kind of machine") != std::string::npos);
}

TEST_CASE("whatever is done to the tables, it is read or refused") {
  const std::string good = goodFile();
  Elf64_Ehdr header{};
  std::memcpy(&header, good.data(), sizeof header);
  std::mt19937 random(20240817); // the same every time
  const std::size_t tables = header.e_shoff, length = header.e_shnum * sizeof(Elf64_Shdr);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 4; ++i) {
      const bool inHeader = random() % 4 == 0;
      const std::size_t at = inHeader ? random() % sizeof header : tables + random() % length;
      bytes[at] = static_cast<char>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    CHECK_NOTHROW(readBytes(bytes));
  }
}
