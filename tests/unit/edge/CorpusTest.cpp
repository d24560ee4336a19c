#include "fuzz/edge/Checks.h"

#include <doctest/doctest.h>
#include <fuzz/Replay.h>

TEST_CASE("the committed corpora and their mutants hold every invariant") {
  namespace edge = matrixos::edge::fuzz;
  const std::filesystem::path corpus = CORPUS_DIR;
  using matrixos::fuzz::replay;
  replay(corpus / "request", edge::checkRequest, 15);
  replay(corpus / "response", edge::checkResponse, 10);
  replay(corpus / "chunked", edge::checkChunked, 10);
  replay(corpus / "frames", edge::checkFrames, 5);
  replay(corpus / "preface", edge::checkPreface, 6);
  replay(corpus / "exchange", edge::checkExchange, 35);
}
