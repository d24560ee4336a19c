#include "common/SipHash.h"

#include <doctest/doctest.h>

#include <string>

using matrixos::common::SipHash;

TEST_CASE("SipHash-2-4 gives what its authors publish") {
  // vectors.h of the reference implementation: key 00…0f, texts of the bytes 00, 01, 02 …, words read low byte first.
  const SipHash hash(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  std::string text;
  const auto next = [&] {
    const auto value = hash(text);
    text += static_cast<char>(text.size());
    return value;
  };
  CHECK(next() == 0x726fdb47dd0e0e31);
  CHECK(next() == 0x74f839c593dc67fd);
  CHECK(next() == 0x0d6c8009d9a94f5a);
  CHECK(next() == 0x85676696d7fb7e2d);
  CHECK(next() == 0xcf2794e0277187b7);
  CHECK(next() == 0x18765564cd99a68d);
  CHECK(next() == 0xcbc9466e58fee3ce);
  CHECK(next() == 0xab0200f58b01d137);
  CHECK(next() == 0x93f5f5799a932462);
  while (text.size() < 15)
    next();
  CHECK(next() == 0xa129ca6149be45e5); // the example of the paper's appendix
}

TEST_CASE("each SipHash has a key of its own") {
  CHECK(SipHash()("a") != SipHash()("a"));
}
