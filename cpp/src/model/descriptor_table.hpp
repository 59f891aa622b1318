/// Descriptors from the dict that Python's `to_dict` writes.
#pragma once

#include <memory>

#include "mercer/descriptors/descriptor.hpp"
#include "model/fields.hpp"

namespace mercer {

/// The table of descriptors: a new one is one line in descriptor_table.cpp, with its type and how it is made.
/// @throws std::invalid_argument for an unknown type (listing the known ones), unknown, missing or bad parameters.
std::unique_ptr<Descriptor> make_descriptor(const Fields& fields);

}  // namespace mercer
