// Names for the few Eigen types that the core uses.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace localgd {

using Eigen::Index;

template <class Real>
using Vector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

template <class Real>
using VectorView = Eigen::Map<const Vector<Real>>;

// A model is d x C and its margins are N x C, one column per output: C = 1 but for several classes,
// or several targets of a row.
template <class Real>
using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;

template <class Real>
using MatrixView = Eigen::Map<const Matrix<Real>>;

// Rows of data are contiguous, as NumPy lays them out.
template <class Real>
using RowMatrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Real>
using RowsView = Eigen::Map<const RowMatrix<Real>>;

}  // namespace localgd
