/// What has to hold for every input of the codec, hostile ones above all. Used by the libFuzzer targets, and by a unit
/// test that replays the committed corpora through the same functions.
#pragma once

#include <string_view>

namespace matrixos::http::fuzz {

/// Each throws std::logic_error when an invariant is broken.
void checkRequest(std::string_view input);
void checkResponse(std::string_view input);
void checkChunked(std::string_view input);
void checkFrames(std::string_view input);
void checkPreface(std::string_view input);
/// A script for whole exchanges: the first byte chooses the options, then come steps between 0xff bytes, each a letter
/// and what it needs (Exchange.cpp says which there are). One thread only.
void checkExchange(std::string_view input);
/// What lies between a TLS server and our side as its client: the first byte chooses version and name, then come steps
/// between 0xff bytes (Records.cpp says which there are). One thread only.
void checkRecords(std::string_view input);

} // namespace matrixos::http::fuzz
