print("amargo")
