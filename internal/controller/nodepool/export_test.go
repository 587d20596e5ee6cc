package nodepool

// AskedBy is askedBy, for tests of managed fields, which no fake API server
// keeps.
var AskedBy = askedBy
