#include "fuzz/http/Checks.h"

#include <doctest/doctest.h>
#include <fuzz/Replay.h>

TEST_CASE("the committed corpora and their mutants hold every invariant") {
  namespace http = matrixos::http::fuzz;
  const std::filesystem::path corpus = CORPUS_DIR;
  using matrixos::fuzz::replay;
  replay(corpus / "request", http::checkRequest, 15);
  replay(corpus / "response", http::checkResponse, 10);
  replay(corpus / "chunked", http::checkChunked, 10);
  replay(corpus / "frames", http::checkFrames, 5);
  replay(corpus / "preface", http::checkPreface, 6);
  replay(corpus / "records", http::checkRecords, 15);
  replay(corpus / "exchange", http::checkExchange, 35);
}
