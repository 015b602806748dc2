package main

import _ "example.com/shop/gen/proto"

func main() {}
